#include "declip/process_group.h"

#ifdef DECLIP_DISTRIBUTED

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <c10/util/Logging.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef DECLIP_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "train/local_address.h"

namespace declip {
namespace {

constexpr int64_t kMaxTimeout = int64_t{7} * 24 * 3600 * 1000;

/// A rank that waits for others to come asks this often whether to go on,
constexpr std::chrono::milliseconds kPause{500};
/// and one that looks for rank 0 after attempts of this length: a lost packet
/// is sent again after one second.
constexpr std::chrono::milliseconds kAttempt{3000};
/// A rank at a collective asks this often whether it was cancelled.
constexpr std::chrono::milliseconds kSlice{100};
/// Of messages that nobody sends.
constexpr int kNoTag = 1 << 30;
/// How many ranks have come, in the store.
constexpr const char* kCome = "come";

using Clock = std::chrono::steady_clock;
using Work = c10::intrusive_ptr<c10d::Work>;

void check(const ProcessGroupOptions& options) {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorCode::kInvalidArg, message);
  };
  if (options.world_size < 1) {
    refuse("worldSize must be 1 or more, received " +
           std::to_string(options.world_size) + ".");
  }
  if (options.rank < 0 || options.rank >= options.world_size) {
    refuse("rank must be 0.." + std::to_string(options.world_size - 1) +
           ", received " + std::to_string(options.rank) + ".");
  }
  if (options.address.empty()) refuse("address must name the host of rank 0.");
  if (options.port == 0) refuse("port must be 1..65535.");
  if (options.timeout.count() < 1 || options.timeout.count() > kMaxTimeout) {
    refuse("timeoutMs must be 1.." + std::to_string(kMaxTimeout) +
           ", received " + std::to_string(options.timeout.count()) + ".");
  }
  if (options.backend != "auto" && options.backend != "gloo") {
    refuse("backend must be 'auto' or 'gloo', received '" + options.backend +
           "'.");
  }
}

std::string seconds(std::chrono::milliseconds time) {
  std::ostringstream out;
  out << static_cast<double>(time.count()) / 1000 << " s";
  return out.str();
}

/// An exception's first line, without the source position that gloo begins
/// with and the advice that it ends with.
std::string reason(const std::exception& error) {
  const auto* known = dynamic_cast<const c10::Error*>(&error);
  std::string text = known ? known->what_without_backtrace() : error.what();
  text = text.substr(0, text.find('\n'));
  const auto position = text.starts_with('[') ? text.find("] ") : text.npos;
  if (position != text.npos) text.erase(0, position + 2);
  text = text.substr(0, text.find(" This is typically caused by"));
  while (text.ends_with('.') || text.ends_with(' ')) text.pop_back();
  return text;
}

/// Keeps c10d's own log off stderr, stack traces and all: what fails is in the
/// error. TORCH_CPP_LOG_LEVEL brings it back.
class QuietLog {
 public:
  QuietLog() {
    if (!std::getenv("TORCH_CPP_LOG_LEVEL")) {
      FLAGS_caffe2_log_level = c10::GLOG_FATAL;
    }
  }
  ~QuietLog() { FLAGS_caffe2_log_level = before_; }
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;

 private:
  const int before_ = FLAGS_caffe2_log_level;
};

std::vector<std::shared_ptr<gloo::transport::Device>> devices(
    const std::string& address) {
  using Gloo = c10d::ProcessGroupGloo;
  std::vector<std::shared_ptr<gloo::transport::Device>> out;
  if (const char* named = std::getenv("GLOO_SOCKET_IFNAME")) {
    std::istringstream names(named);
    for (std::string name; std::getline(names, name, ',');) {
      if (!name.empty()) out.push_back(Gloo::createDeviceForInterface(name));
    }
  }
  if (out.empty()) {
    out.push_back(Gloo::createDeviceForHostname(local_address(address)));
  }
  return out;
}

}  // namespace

struct ProcessGroup::State {
  ProcessGroupOptions options;
  c10::intrusive_ptr<c10d::TCPStore> store;
  c10::intrusive_ptr<c10d::Backend> gloo, nccl;  // null once closed
  int contexts = 1;                              // of gloo, one per interface

  std::string self() const {
    return "Rank " + std::to_string(options.rank) + " of " +
           std::to_string(options.world_size);
  }

  void join(const Call& call);
  /// The store at rank 0, once that answers.
  void find_store(const Call& call, Clock::time_point end);
  void await_all(const Call& call, Clock::time_point end);
  /// Where the build has NCCL.
  void start_nccl();
  /// Waits for the end of a collective.
  void finish(c10d::Work& work, const c10d::Backend& backend, const Call& call);
  /// Closes all connections: what waits for them fails, here and at the others.
  void abort();
  at::Tensor run(const at::Tensor& x,
                 const std::string& what,
                 const Call& call,
                 const std::function<Work(c10d::Backend&, at::Tensor&)>& start);
};

void ProcessGroup::State::find_store(const Call& call, Clock::time_point end) {
  const bool local = is_loopback(options.address);
  c10d::TCPStoreOptions meeting;
  meeting.port = options.port;
  meeting.isServer = options.rank == 0;
  meeting.waitWorkers = false;
  meeting.timeout =
      meeting.isServer ? options.timeout : std::min(options.timeout, kAttempt);
  if (meeting.isServer && local) {
    // By itself the store would listen on every interface.
    meeting.masterListenFd = listen_on_loopback(options.port);
  }
  while (!store) {
    try {
      store = c10::make_intrusive<c10d::TCPStore>(
          local ? "127.0.0.1" : options.address, meeting);
    } catch (const std::exception& error) {
      if (meeting.isServer) throw;
      if (Clock::now() >= end) {
        throw std::runtime_error("rank 0 does not answer: " + reason(error));
      }
      call.check();
      std::this_thread::sleep_for(kPause / 10);
    }
  }
  store->setTimeout(options.timeout);
}

void ProcessGroup::State::await_all(const Call& call, Clock::time_point end) {
  int64_t come = store->add(kCome, 1);
  try {
    std::chrono::milliseconds pause{5};
    while (come < options.world_size) {
      call.check();
      if (Clock::now() >= end) {
        throw std::runtime_error(std::to_string(come) + " of " +
                                 std::to_string(options.world_size) + " came");
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, kPause);
      come = store->add(kCome, 0);
    }
  } catch (...) {
    // Who leaves may come again, and is not to be counted twice.
    store->add(kCome, -1);
    throw;
  }
}

void ProcessGroup::State::join(const Call& call) {
  const auto end = Clock::now() + options.timeout;
  find_store(call, end);
  await_all(call, end);
  auto settings = c10d::ProcessGroupGloo::Options::create(options.timeout);
  settings->devices = devices(options.address);
  contexts = static_cast<int>(settings->devices.size());
  gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(
      c10::make_intrusive<c10d::PrefixStore>("gloo", store),
      options.rank,
      options.world_size,
      settings);
}

#ifdef DECLIP_NCCL
void ProcessGroup::State::start_nccl() {
  // Else a lost rank ends the process, and waiting has no time limit.
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", 0);
  setenv("TORCH_NCCL_BLOCKING_WAIT", "1", 0);
  auto settings = c10d::ProcessGroupNCCL::Options::create();
  settings->timeout = options.timeout;
  nccl = c10::make_intrusive<c10d::ProcessGroupNCCL>(
      c10::make_intrusive<c10d::PrefixStore>("nccl", store),
      options.rank,
      options.world_size,
      settings);
}
#else
void ProcessGroup::State::start_nccl() {}
#endif

void ProcessGroup::State::finish(c10d::Work& work,
                                 const c10d::Backend& backend,
                                 const Call& call) {
  std::optional<Clock::time_point> end;
  while (call.cancelled && !work.isCompleted()) {
    if (!end && *call.cancelled) end = Clock::now() + options.patience;
    if (end && Clock::now() >= *end) {
      abort();
      call.check();
    }
    if (&backend == nccl.get()) {
      // Its wait() closes the group where the time is up.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    try {
      work.wait(kSlice);
    } catch (const std::exception&) {
      // The time is up, or the last wait() says what happened.
    }
  }
  work.wait();
}

void ProcessGroup::State::abort() {
  if (nccl) nccl->abort();
  // Gloo closes every connection of a context where a receive takes too long.
  for (int context = 0; context < contexts; ++context) {
    for (int peer = 0; peer < options.world_size; ++peer) {
      if (peer == options.rank) continue;
      std::vector<at::Tensor> nothing{at::empty({1}, at::kByte)};
      try {
        gloo->recv(nothing, peer, kNoTag + context)
            ->wait(std::chrono::milliseconds(1));
      } catch (const std::exception&) {
        // As meant.
      }
    }
  }
}

/// A collective on x, or on a copy of it on the CPU, which is returned.
at::Tensor ProcessGroup::State::run(
    const at::Tensor& x,
    const std::string& what,
    const Call& call,
    const std::function<Work(c10d::Backend&, at::Tensor&)>& start) {
  if (!gloo) {
    throw GroupError(self() +
                     " has left the others after an earlier error. Start "
                     "all ranks again from the last checkpoint.");
  }
  try {
    if (x.is_cuda() && !nccl && options.backend == "auto") start_nccl();
    const bool direct = nccl && x.is_cuda();
    at::Tensor buffer = direct ? x : x.cpu();
    auto& backend = *(direct ? nccl : gloo);
    finish(*start(backend, buffer), backend, call);
    return buffer;
  } catch (const std::exception& error) {
    // Closed connections tell the others, who may not wait for this rank.
    nccl.reset();
    gloo.reset();
    call.check();  // who cancelled is told that
    throw GroupError(
        self() + " stopped while it waited for " + what + ": " + reason(error) +
        ". Another rank has ended, was cancelled or is slower than " +
        seconds(options.timeout) +
        "; its own message says why. Start all ranks again from the last "
        "checkpoint.");
  }
}

ProcessGroup::ProcessGroup(const ProcessGroupOptions& options, const Call& call)
    : state_(std::make_unique<State>()) {
  check(options);
  auto& s = *state_;
  s.options = options;
  const QuietLog quiet;
  try {
    s.join(call);
  } catch (const std::exception& error) {
    call.check();  // who cancelled is told that
    throw GroupError(
        s.self() + " could not meet the others at " + options.address + ":" +
        std::to_string(options.port) + " within " + seconds(options.timeout) +
        ": " + reason(error) +
        ". Every rank must be started, with the same address, port and "
        "number of ranks; the port must be free at rank 0 and reachable "
        "from the others.");
  }
}

ProcessGroup::~ProcessGroup() = default;

int ProcessGroup::rank() const { return state_->options.rank; }
int ProcessGroup::size() const { return state_->options.world_size; }

void ProcessGroup::sum(const at::Tensor& x,
                       const std::string& what,
                       const Call& call) {
  const auto out = state_->run(
      x, what, call, [](c10d::Backend& backend, at::Tensor& buffer) {
        std::vector<at::Tensor> tensors{buffer};
        return backend.allreduce(tensors);
      });
  if (!out.is_same(x)) x.copy_(out);
}

void ProcessGroup::broadcast(const at::Tensor& x,
                             const std::string& what,
                             const Call& call) {
  const auto out = state_->run(
      x, what, call, [](c10d::Backend& backend, at::Tensor& buffer) {
        std::vector<at::Tensor> tensors{buffer};
        return backend.broadcast(tensors);
      });
  if (!out.is_same(x)) x.copy_(out);
}

at::Tensor ProcessGroup::gather(const at::Tensor& x,
                                const std::string& what,
                                const Call& call) {
  std::vector<std::vector<at::Tensor>> rows(1);
  state_->run(x.contiguous(),
              what,
              call,
              [&](c10d::Backend& backend, at::Tensor& buffer) {
                std::vector<at::Tensor> inputs{buffer};
                for (int rank = 0; rank < size(); ++rank) {
                  rows[0].push_back(at::empty_like(buffer));
                }
                return backend.allgather(rows, inputs);
              });
  return at::stack(rows[0]).to(x.device());
}

}  // namespace declip

#else

#include <utility>

namespace declip {

struct ProcessGroup::State {};

ProcessGroup::ProcessGroup(const ProcessGroupOptions&, const Call&) {
  throw Error(ErrorCode::kInvalidArg,
              "Training in several processes needs Linux: this build has no "
              "process groups. Train in one process.");
}

ProcessGroup::~ProcessGroup() = default;

// No object lives on which these could be called.
int ProcessGroup::rank() const { return 0; }
int ProcessGroup::size() const { return 1; }
void ProcessGroup::sum(const at::Tensor&, const std::string&, const Call&) {}
void ProcessGroup::broadcast(const at::Tensor&,
                             const std::string&,
                             const Call&) {}
at::Tensor ProcessGroup::gather(const at::Tensor& x,
                                const std::string&,
                                const Call&) {
  return x;
}

}  // namespace declip

#endif
