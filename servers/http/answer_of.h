// answer_of: a call of the tier, awaited.
//
// Threads:   the coroutine's executor, whichever thread answers.
// Cost:      two allocations, and a post.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/base/result.h"

namespace nearlane::http {

/// Waits for a call of TieredCache on the coroutine's own executor, whichever thread answers.
/// `start` must capture nothing that has a destructor: g++ 12 destroys a co_await's temporaries
/// twice.
template <class T, class Start>
boost::asio::awaitable<Result<T>> answer_of(Start start) {
  static_assert(std::is_trivially_destructible_v<Start>);
  const auto executor = co_await boost::asio::this_coro::executor;
  auto initiate = [executor](auto handler, Start begin) {
    // std::function must be copyable, a coroutine's handler is not.
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    begin([executor, shared](Result<T> answer) {
      boost::asio::post(executor, [shared, answer = std::move(answer)]() mutable {
        std::move (*shared)(std::move(answer));
      });
    });
  };
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>,
                                                 void(Result<T>)>(
      std::move(initiate), boost::asio::use_awaitable, std::move(start));
}

}  // namespace nearlane::http
