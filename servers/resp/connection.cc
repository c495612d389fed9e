#include "servers/resp/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/base/keepalive.h"

namespace nearlane::resp {

namespace net = boost::asio;

namespace {

/// Pieces of one system call; each is a large value, or what lies between two.
constexpr std::size_t kPieces = 16;

/// Of commands behind one that may wait for ever.
constexpr std::size_t kHeldWhileWaiting = std::size_t{64} * 1024;

ssize_t send_some(int socket, const Output& output) {
  std::array<iovec, kPieces> pieces;
  const std::size_t count = output.gather(pieces);
  if (count == 1) return ::send(socket, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = count;
  return ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

}  // namespace

Connection::Connection(loop::Loop& home, int socket, ConnectionLimits limits,
                       const MakeSession& make_session)
    : home_(home),
      socket_(home.context(), net::generic::stream_protocol(AF_INET, IPPROTO_TCP), socket),
      limits_(limits),
      session_(make_session(*this)) {
  keep_alive(socket);
}

void Connection::start() {
  active_at_ = Clock::now();
  set_overdue_at(input_due());
  wait_readable();
}

void Connection::wait_readable() {
  if (waits_to_read_ || ended_) return;
  waits_to_read_ = true;
  socket_.async_read_some(net::buffer(read_),
                          [me = self()](const boost::system::error_code& failed, std::size_t size) {
                            me->waits_to_read_ = false;
                            if (!me->socket_.is_open()) return;
                            if (failed == net::error::eof) return me->peer_ended();
                            if (failed) return me->close();
                            me->receive(size);
                          });
}

void Connection::wait_writable() {
  paused_ = true;
  // Answers that came meanwhile may all have been sent since the wait began, and others not.
  if (!waits_to_write_ || overdue_at() == kForever) set_overdue_at(Clock::now() + limits_.transfer);
  if (waits_to_write_) return;
  waits_to_write_ = true;
  socket_.async_wait(net::socket_base::wait_write,
                     [me = self()](const boost::system::error_code& failed) {
                       me->waits_to_write_ = false;
                       if (!failed && me->socket_.is_open()) me->serve_held();
                     });
}

void Connection::receive(std::size_t size) {
  const TimePoint received = Clock::now();
  active_at_ = received;
  if (input_.empty()) began_at_ = received;
  const bool more = size == read_.size();
  std::string_view input(read_.data(), size);
  if (!input_.empty()) {
    input_.append(input);
    if (more) {
      // Grows with what has arrived, not with what the peer announced.
      const std::size_t held = input_.size();
      const std::size_t room = std::clamp(session_->missing(), loop::Loop::kScratchBytes,
                                          std::max(held, loop::Loop::kScratchBytes));
      input_.resize(held + room);
      input_.resize(held + receive_more(input_.data() + held, room));
    }
    input = input_;
  } else if (more) {
    const std::span<char> scratch = home_.scratch();
    std::memcpy(scratch.data(), input.data(), size);  // std::ranges::copy goes byte by byte here
    input = {scratch.data(), size + receive_more(scratch.data() + size, scratch.size() - size)};
  }
  serve(input, received);
  serve_held();
}

/// What is there already. That the peer has ended or gone is seen by the next read.
std::size_t Connection::receive_more(char* into, std::size_t room) noexcept {
  const ssize_t got = ::recv(socket_.native_handle(), into, room, MSG_DONTWAIT);
  return static_cast<std::size_t>(std::max<ssize_t>(got, 0));
}

void Connection::peer_ended() {
  if (session_->waits()) return close();
  ended_ = true;
  move_on();
}

/// Serves what can be served of `input`, and keeps the rest.
void Connection::serve(std::string_view input, TimePoint received) {
  session_->output().borrow(home_.spare());
  const std::size_t taken = session_->serve(input, received);
  if (taken > 0) began_at_ = received;
  if (input.data() != input_.data()) {
    input_.assign(input.substr(taken));
  } else if (taken == input_.size()) {
    std::string().swap(input_);
  } else {
    input_.erase(0, taken);
  }
}

/// Goes on with input that had to wait.
void Connection::serve_held() {
  if (!send()) return;
  while (session_->blocked() && !session_->closing() && session_->output().empty()) {
    session_->refill();
    serve(input_, Clock::now());
    const bool progress = !session_->output().empty();
    if (!send()) return;
    if (!progress) break;
  }
  move_on();
}

void Connection::answered() noexcept {
  const auto me = self();  // sending may close and let go of us
  session_->refill();
  serve_held();
}

/// Sends, and decides what to wait for.
void Connection::move_on() {
  if (!socket_.is_open() || !send()) return;
  if (!session_->output().empty()) return;  // wait_writable goes on
  const bool over =
      session_->closing() || (ended_ && !session_->blocked()) || (draining_ && input_.empty());
  if (over && session_->idle()) {
    close();
    return;
  }
  const bool drained =
      draining_ && input_.empty();  // what is under way is answered, no more is read
  // Behind a command that waits as long as it likes little is read. Where nothing is, that the peer leaves is seen once
  // that command is answered.
  const bool reads = session_->waits() ? input_.size() < kHeldWhileWaiting : !session_->blocked();
  if (!reads || drained || session_->closing()) {
    paused_ = true;
    set_overdue_at(kForever);
    return;
  }
  if (std::exchange(paused_, false)) began_at_ = resumes_at();
  set_overdue_at(input_due());
  wait_readable();
}

/// When a peer that takes its replies first goes on with its command, at the slowest: the kernel may keep some for it.
TimePoint Connection::resumes_at() noexcept {
  int kept = 0;
  if (!input_.empty()) ::ioctl(socket_.native_handle(), SIOCOUTQ, &kept);
  return Clock::now() + std::chrono::seconds(static_cast<std::size_t>(kept) / kSlowestBytes);
}

/// By when the peer has to say something, or more of what it has begun to say.
TimePoint Connection::input_due() const noexcept {
  if (session_->blocked() || ended_) return kForever;  // it waits for us
  if (!input_.empty())
    return began_at_ + limits_.transfer + std::chrono::seconds(input_.size() / kSlowestBytes);
  const bool may_rest = limits_.idle.count() == 0 || session_->listens() || !session_->idle();
  return may_rest ? kForever : active_at_ + limits_.idle;
}

/// False: the connection was closed.
bool Connection::send() {
  Output& output = session_->output();
  while (!output.empty()) {
    const ssize_t got = send_some(socket_.native_handle(), output);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        wait_writable();
        return true;
      }
      close();
      return false;
    }
    output.drop_front(static_cast<std::size_t>(got));
    if (limits_.idle.count() != 0) active_at_ = Clock::now();
    if (static_cast<std::size_t>(got) >= kSlowestBytes) paused_ = true;  // so much it takes first
    if (output.empty()) {
      set_overdue_at(kForever);
      session_->refill();
    }
  }
  output.give_back(home_.spare());
  return true;
}

void Connection::drain() noexcept {
  draining_ = true;
  if (session_->waits()) return close();
  move_on();
}

void Connection::close() noexcept {
  if (!socket_.is_open()) return;
  const auto me = self();
  boost::system::error_code ignored;
  if (waits_to_write_ && overdue_at() <= Clock::now()) session_->given_up(limits_.transfer);
  // What the peer does not take is not kept for it by the kernel either.
  if (!session_->output().empty()) socket_.set_option(net::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
  session_->detach();
  home_.remove(*this);
}

}  // namespace nearlane::resp
