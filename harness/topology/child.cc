#include "harness/topology/child.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <mutex>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill() and SIG* are POSIX, not C++
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
extern "C" {
#include <sys/pidfd.h>  // Debian 12's header forgets that C++ may include it
}

namespace nearlane::harness {
namespace {

using namespace std::chrono_literals;

std::string errno_text(int number) { return std::generic_category().message(number); }

class Fd {
 public:
  explicit Fd(int fd = -1) noexcept : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  void reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// What the forked side needs, prepared before the fork: between fork and exec only
// async-signal-safe calls.
struct Prepared {
  std::string program;
  std::vector<char*> argv;
  std::vector<char*> env;
  pid_t owner;
  int output;
  int failure;  // gets errno when exec fails; closed by exec otherwise
};

[[noreturn]] void become(const Prepared& prepared) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The owner may have died before the line above.
  if (::getppid() != prepared.owner) ::_exit(127);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(input, STDIN_FILENO);
  ::dup2(prepared.output, STDOUT_FILENO);
  ::dup2(prepared.output, STDERR_FILENO);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execve(prepared.program.c_str(), prepared.argv.data(), prepared.env.data());
  const int failed = errno;
  [[maybe_unused]] const auto written = ::write(prepared.failure, &failed, sizeof failed);
  ::_exit(127);
}

Duration ticks(std::uint64_t count) {
  static const auto per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return std::chrono::nanoseconds(count * 1'000'000'000U / per_second);
}

Duration from_timeval(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

}  // namespace

std::string ExitStatus::to_string() const {
  return signalled ? fmt::format("ended by signal {}", code) : fmt::format("exit code {}", code);
}

Result<std::filesystem::path> find_in_path(const std::string& program) {
  std::vector<std::filesystem::path> candidates;
  if (program.find('/') != std::string::npos) {
    candidates.emplace_back(program);
  } else {
    const char* path = ::secure_getenv("PATH");
    std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');) {
      candidates.push_back(std::filesystem::path(folder) / program);
    }
  }
  for (const auto& candidate : candidates) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(candidate, ignored) &&
        ::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
  }
  return Error{Errc::invalid_argument,
               fmt::format("no program '{}'{}", program,
                           program.find('/') == std::string::npos ? " in PATH" : "")};
}

Result<std::filesystem::path> find_beside(std::string_view program) {
  std::error_code error;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& candidate : {here / program, here.parent_path() / "bin" / program}) {
    if (auto found = find_in_path(candidate.string()); found) return found;
  }
  return Error{
      Errc::invalid_argument,
      fmt::format("no program '{}' beside {} or in ../bin; build it", program, here.string())};
}

struct Child::State {
  ChildSpec spec;
  pid_t pid = -1;
  Fd pidfd;
  Fd output;
  std::thread keeper;

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::string kept;        // the newest output, at most spec.output_cap bytes
  std::size_t logged = 0;  // bytes written to the log
  std::ofstream log;
  std::optional<ExitStatus> ended;
  Usage final_usage;

  // Runs on the keeper: forks, tells `started`, then reads output until the child ends, and reaps
  // it.
  void keep(std::promise<Result<void>> started);
  Result<void> spawn();
  void absorb(std::string_view bytes);
  void drain();
  void reap();
};

Result<void> Child::State::spawn() {
  auto program = find_in_path(spec.argv.front());
  if (!program) return program.error();
  std::array<int, 2> out{};
  std::array<int, 2> failure{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0) {
    return Error{Errc::unavailable, spec.name + ": pipe: " + errno_text(errno)};
  }
  Fd out_read(out[0]);
  Fd out_write(out[1]);
  if (::pipe2(failure.data(), O_CLOEXEC) != 0) {
    return Error{Errc::unavailable, spec.name + ": pipe: " + errno_text(errno)};
  }
  Fd failure_read(failure[0]);
  Fd failure_write(failure[1]);

  Prepared prepared{.program = program->string(),
                    .argv = {},
                    .env = {},
                    .owner = ::getpid(),
                    .output = out_write.get(),
                    .failure = failure_write.get()};
  for (auto& argument : spec.argv) prepared.argv.push_back(argument.data());
  prepared.argv.push_back(nullptr);
  for (auto& variable : spec.env) prepared.env.push_back(variable.data());
  // Each name once: of two, getenv takes the first and a shell the last.
  const auto is_ours = [&](std::string_view variable) {
    const std::string_view name = variable.substr(0, variable.find('=') + 1);
    return std::ranges::any_of(spec.env,
                               [&](const std::string& ours) { return ours.starts_with(name); });
  };
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    if (!is_ours(*variable)) prepared.env.push_back(*variable);
  }
  prepared.env.push_back(nullptr);

  const pid_t child = ::fork();
  if (child == 0) become(prepared);
  if (child < 0) return Error{Errc::unavailable, spec.name + ": fork: " + errno_text(errno)};
  failure_write.reset();
  int failed = 0;
  ssize_t got = 0;
  do {
    got = ::read(failure_read.get(), &failed, sizeof failed);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof failed)) {
    ::waitpid(child, nullptr, 0);
    return Error{Errc::unavailable,
                 fmt::format("{}: {}: {}", spec.name, prepared.program, errno_text(failed))};
  }
  pidfd = Fd(::pidfd_open(child, 0));
  if (pidfd.get() < 0) {
    const int number = errno;
    ::kill(-child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return Error{Errc::unavailable, spec.name + ": pidfd_open: " + errno_text(number)};
  }
  ::fcntl(out_read.get(), F_SETFL, O_NONBLOCK);
  output = std::move(out_read);
  pid = child;
  return {};
}

void Child::State::absorb(std::string_view bytes) {
  {
    const std::lock_guard lock(mutex);
    kept.append(bytes);
    if (kept.size() > spec.output_cap) kept.erase(0, kept.size() - spec.output_cap);
  }
  changed.notify_all();
  if (log.is_open() && logged <= spec.log_cap) {
    const auto room = std::min(bytes.size(), spec.log_cap - logged);
    log.write(bytes.data(), static_cast<std::streamsize>(room));
    if (room < bytes.size()) log << "\n[cut: the log's cap is " << spec.log_cap << " bytes]\n";
    log.flush();
    logged += bytes.size();
  }
}

void Child::State::drain() {
  std::array<char, 16384> buffer;
  // Bounded, so that a child that never stops writing cannot keep the keeper from reaping another's
  // end.
  for (int round = 0; round < 64 && output.get() >= 0; ++round) {
    const auto got = ::read(output.get(), buffer.data(), buffer.size());
    if (got > 0) {
      absorb({buffer.data(), static_cast<std::size_t>(got)});
    } else if (got == 0) {
      output.reset();
    } else if (errno != EINTR) {
      return;
    }
  }
}

void Child::State::reap() {
  {
    const std::lock_guard lock(mutex);
    // What the child left behind in its group goes first, while its number cannot be anyone else's
    // yet.
    ::kill(-pid, SIGKILL);
    int status = 0;
    rusage used{};
    while (::wait4(pid, &status, 0, &used) < 0 && errno == EINTR) {
    }
    ended = WIFSIGNALED(status) ? ExitStatus{.signalled = true, .code = WTERMSIG(status)}
                                : ExitStatus{.signalled = false, .code = WEXITSTATUS(status)};
    final_usage = {
        .user = from_timeval(used.ru_utime), .system = from_timeval(used.ru_stime), .rss_bytes = 0};
  }
  changed.notify_all();
}

void Child::State::keep(std::promise<Result<void>> started) {
  auto spawned = spawn();
  const bool running = spawned.has_value();
  started.set_value(std::move(spawned));
  if (!running) return;
  while (true) {
    std::array<pollfd, 2> waits = {{{.fd = pidfd.get(), .events = POLLIN, .revents = 0},
                                    {.fd = output.get(), .events = POLLIN, .revents = 0}}};
    if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) break;
    if (waits[1].revents != 0) drain();
    if (waits[0].revents != 0) break;
  }
  drain();
  reap();
}

Child::Child(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Child::Child(Child&&) noexcept = default;

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    if (state_) kill();
    state_ = std::move(other.state_);
  }
  return *this;
}

Child::~Child() {
  if (state_) kill();
}

Result<Child> Child::start(ChildSpec spec) {
  if (spec.argv.empty()) return Error{Errc::invalid_argument, spec.name + ": no program named"};
  auto state = std::make_unique<State>();
  if (!spec.log.empty()) {
    state->log.open(spec.log, std::ios::app | std::ios::binary);
    if (!state->log) return Error{Errc::unavailable, "cannot write " + spec.log.string()};
  }
  state->spec = std::move(spec);
  std::promise<Result<void>> promise;
  auto started = promise.get_future();
  state->keeper = std::thread(&State::keep, state.get(), std::move(promise));
  auto outcome = started.get();
  if (!outcome) {
    state->keeper.join();
    return outcome.error();
  }
  return Child(std::move(state));
}

pid_t Child::pid() const noexcept { return state_->pid; }
const std::string& Child::name() const noexcept { return state_->spec.name; }

bool Child::running() const {
  const std::lock_guard lock(state_->mutex);
  return !state_->ended;
}

Result<void> Child::signal(int number) const {
  const std::lock_guard lock(state_->mutex);
  if (state_->ended) {
    return Error{Errc::unavailable,
                 fmt::format("{} has ended ({})", state_->spec.name, state_->ended->to_string())};
  }
  if (::pidfd_send_signal(state_->pidfd.get(), number, nullptr, 0) != 0) {
    return Error{Errc::unavailable, state_->spec.name + ": " + errno_text(errno)};
  }
  return {};
}

void Child::kill() {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->ended) ::kill(-state_->pid, SIGKILL);
  }
  if (state_->keeper.joinable()) state_->keeper.join();
}

Result<ExitStatus> Child::wait(Duration limit) const {
  std::unique_lock lock(state_->mutex);
  if (!state_->changed.wait_for(lock, limit, [&] { return state_->ended.has_value(); })) {
    return Error{Errc::timeout,
                 fmt::format("{} was still running after {} ms", state_->spec.name,
                             std::chrono::duration_cast<std::chrono::milliseconds>(limit).count())};
  }
  return *state_->ended;
}

Result<ExitStatus> Child::terminate(Duration limit) {
  // An error here means that it has ended already, which wait() tells.
  (void)signal(SIGTERM);
  auto status = wait(limit);
  if (!status) kill();
  return status;
}

std::string Child::last_output(std::size_t lines) const {
  const std::lock_guard lock(state_->mutex);
  std::string_view text = state_->kept;
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  std::size_t from = text.size();
  for (std::size_t seen = 0; seen < lines && from != std::string_view::npos; ++seen) {
    if (from == 0) break;
    from = text.rfind('\n', from - 1);
  }
  return std::string(from == std::string_view::npos || from == 0 ? text : text.substr(from + 1));
}

Result<std::string> Child::wait_line(std::string_view prefix, Duration limit) const {
  std::unique_lock lock(state_->mutex);
  std::string found;
  const auto look = [&] {
    const std::string_view text = state_->kept;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = text.find('\n', at);
      if (end == std::string_view::npos) break;
      if (text.substr(at, end - at).starts_with(prefix)) {
        found = text.substr(at, end - at);
        return true;
      }
      at = end + 1;
    }
    return false;
  };
  bool there = false;
  const bool woken = state_->changed.wait_for(lock, limit, [&] {
    there = look();
    return there || state_->ended.has_value();
  });
  if (there) return found;
  const auto why = woken ? state_->ended->to_string() : std::string("still running");
  const auto code = woken ? Errc::unavailable : Errc::timeout;
  lock.unlock();
  return Error{code, fmt::format("{} did not print '{}…' ({}); its last lines:\n{}",
                                 state_->spec.name, prefix, why, last_output())};
}

Result<void> Child::wait_ready(const std::function<bool()>& ready, Duration limit) const {
  const auto deadline = Clock::now() + limit;
  while (true) {
    if (ready()) return {};
    std::unique_lock lock(state_->mutex);
    // Readiness has no event of its own; an end of the child does, and cuts the pause short.
    const bool gone =
        state_->changed.wait_for(lock, 5ms, [&] { return state_->ended.has_value(); });
    if (!gone && Clock::now() < deadline) continue;
    const auto why = gone ? state_->ended->to_string() : std::string("still running");
    lock.unlock();
    return Error{gone ? Errc::unavailable : Errc::timeout,
                 fmt::format("{} did not become ready ({}); its last lines:\n{}", state_->spec.name,
                             why, last_output())};
  }
}

Usage Child::usage() const {
  const std::lock_guard lock(state_->mutex);
  if (state_->ended) return state_->final_usage;
  std::ifstream file(fmt::format("/proc/{}/stat", state_->pid));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  // The second field is the program's name in brackets and may hold spaces: count from behind it.
  const auto after = text.rfind(')');
  if (after == std::string::npos) return {};
  std::istringstream fields(text.substr(after + 1));
  std::vector<std::string> field((std::istream_iterator<std::string>(fields)), {});
  // Numbers of proc(5), less the two fields before: utime 14, stime 15, rss 24.
  if (field.size() < 22) return {};
  const auto number = [&](std::size_t index) { return std::stoull(field[index - 3]); };
  return {.user = ticks(number(14)),
          .system = ticks(number(15)),
          .rss_bytes = number(24) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))};
}

}  // namespace nearlane::harness
