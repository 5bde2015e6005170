#pragma once

#include <ATen/Parallel.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "declip/process_group.h"

/// Ranks as threads of one process, each with a process group of its own.
namespace ranks {

using Group = std::shared_ptr<declip::ProcessGroup>;

inline uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

/// How a rank ended: message "" if well.
struct End {
  std::string message;
  declip::ErrorCode code = declip::ErrorCode::kInternal;
  bool of_group = false;
};

inline End end_of(const std::function<void()>& body) {
  try {
    body();
    return {};
  } catch (const declip::Error& error) {
    const bool of_group = dynamic_cast<const declip::GroupError*>(&error);
    return {error.what(), error.code(), of_group};
  } catch (const std::exception& error) {
    return {std::string("no declip::Error: ") + error.what()};
  }
}

/// Runs `body` as every rank of `size`; one rank has no group. On one thread
/// each, because sums depend on the number of threads.
inline std::vector<End> run(int size,
                            const std::function<void(Group)>& body,
                            int timeout_ms = 20'000) {
  const uint16_t port = free_port();
  std::vector<End> ends(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      at::set_num_threads(1);
      ends[static_cast<size_t>(rank)] = end_of([&] {
        declip::ProcessGroupOptions options;
        options.rank = rank;
        options.world_size = size;
        options.port = port;
        options.timeout = std::chrono::milliseconds(timeout_ms);
        options.patience = options.timeout;
        body(size == 1 ? nullptr
                       : std::make_shared<declip::ProcessGroup>(options));
      });
    });
  }
  for (auto& thread : threads) thread.join();
  return ends;
}

}  // namespace ranks
