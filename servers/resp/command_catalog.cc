#include "servers/resp/command_catalog.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "servers/resp/upstream.h"

namespace nearlane::resp {

using protocol::Reply;
using protocol::Type;

namespace {

/// They change something, but in a way that their key positions do not tell: another database's key.
constexpr std::array<std::string_view, 2> kElsewhere = {"copy", "move"};

/// Known before Redis has said so: whoever waits for work says little else.
constexpr std::array<std::string_view, 10> kBlocking = {
    "blmove", "blmpop",   "blpop",    "brpop", "brpoplpush",
    "bzmpop", "bzpopmax", "bzpopmin", "xread", "xreadgroup"};

bool has_flag(const Reply& flags, std::string_view flag) {
  return std::ranges::any_of(flags.elements, [&](const Reply& each) { return each.text == flag; });
}

}  // namespace

void Effect::add(Effect other) {
  std::ranges::move(other.keys, std::back_inserter(keys));
  undeclared = undeclared || other.undeclared;
  blocks = blocks || other.blocks;
}

Effect CommandCatalog::effect_of(std::string_view name,
                                 std::span<const std::string_view> args) const {
  const auto specs = specs_.load();
  const bool blocks = std::ranges::find(kBlocking, name) != kBlocking.end();
  if (!specs) return {.undeclared = true, .blocks = blocks};
  const auto found = specs->find(std::string(name));
  if (found == specs->end()) return {.undeclared = true, .blocks = blocks};
  const Spec& spec = found->second;
  Effect effect{.blocks = spec.blocks};
  if (spec.reads_only || (!spec.writes && !spec.movable && !spec.container)) return effect;
  const bool elsewhere = std::ranges::find(kElsewhere, name) != kElsewhere.end();
  if (!spec.writes || spec.movable || spec.first <= 0 || spec.step <= 0 || elsewhere) {
    effect.undeclared = true;
    return effect;
  }
  const int count = static_cast<int>(args.size());
  const int last = spec.last < 0 ? count + spec.last : std::min(spec.last, count - 1);
  for (int at = spec.first; at <= last; at += spec.step)
    effect.keys.emplace_back(args[static_cast<std::size_t>(at)]);
  return effect;
}

std::optional<std::string_view> CommandCatalog::first_key(
    std::string_view name, std::span<const std::string_view> args) const {
  const auto specs = specs_.load();
  if (!specs) return std::nullopt;
  const auto found = specs->find(std::string(name));
  if (found == specs->end() || found->second.first <= 0) return std::nullopt;
  const auto at = static_cast<std::size_t>(found->second.first);
  return at < args.size() ? std::optional(args[at]) : std::nullopt;
}

bool CommandCatalog::take(const Reply& reply) {
  if (reply.type != Type::array) return false;
  auto specs = std::make_shared<Specs>();
  for (const Reply& one : reply.elements) {
    if (one.type != Type::array || one.elements.size() < 6) return false;
    const auto& parts = one.elements;
    for (const std::size_t number : {3, 4, 5}) {
      if (parts[number].type != Type::integer) return false;
    }
    specs->emplace(parts[0].text, Spec{.writes = has_flag(parts[2], "write"),
                                       .reads_only = has_flag(parts[2], "readonly"),
                                       .movable = has_flag(parts[2], "movablekeys"),
                                       .container = parts[2].elements.empty(),
                                       .blocks = has_flag(parts[2], "blocking"),
                                       .first = static_cast<int>(parts[3].integer),
                                       .last = static_cast<int>(parts[4].integer),
                                       .step = static_cast<int>(parts[5].integer)});
  }
  specs_.store(std::move(specs));
  return true;
}

class CommandCatalog::Asking final : public Upstream::Owner {
 public:
  Asking(CommandCatalog& catalog, UpstreamPool& pool, std::shared_ptr<Upstream> upstream)
      : catalog_(catalog), pool_(pool), upstream_(std::move(upstream)) {
    upstream_->set_owner(this);
    upstream_->prepare(protocol::Version::resp2, 0);
    upstream_->send(std::array{std::string_view("COMMAND")});
    upstream_->flush();
  }
  ~Asking() override {
    if (upstream_) upstream_->set_owner(nullptr);
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

  void received(std::string, const Reply& frame) noexcept override {
    catalog_.take(frame);
    pool_.give_back(std::move(upstream_));
    catalog_.asks_.store(false);
  }
  void lost(const Error&) noexcept override {
    upstream_.reset();
    catalog_.asks_.store(false);
  }

 private:
  CommandCatalog& catalog_;
  UpstreamPool& pool_;
  std::shared_ptr<Upstream> upstream_;
};

CommandCatalog::CommandCatalog() = default;
CommandCatalog::~CommandCatalog() = default;

void CommandCatalog::load(UpstreamPool& pool) {
  // Not by the last connection that a client could have.
  if (loaded() || !pool.has_spare() || asks_.exchange(true)) return;
  const auto route = pool.any_route();
  if (auto upstream = route ? pool.take(route) : nullptr) {
    asking_ = std::make_unique<Asking>(*this, pool, std::move(upstream));
  } else {
    asks_.store(false);
  }
}

}  // namespace nearlane::resp
