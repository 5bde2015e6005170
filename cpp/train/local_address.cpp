#include "train/local_address.h"

#ifdef DECLIP_DISTRIBUTED

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace declip {
namespace {

constexpr char kLoopback[] = "127.0.0.1";

/// Closes a socket unless it is released.
struct Socket {
  int fd;

  explicit Socket(int family, int type)
      : fd(socket(family, type | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd >= 0) close(fd);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int release() { return std::exchange(fd, -1); }
};

}  // namespace

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::string local_address(const std::string& host) {
  if (is_loopback(host)) return kLoopback;
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(host.c_str(), "9", &hints, &list);
  if (failed) {
    throw std::runtime_error("the host '" + host +
                             "' is not known: " + gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list,
                                                             freeaddrinfo);
  for (const auto* each = list; each; each = each->ai_next) {
    const Socket probe(each->ai_family, SOCK_DGRAM);
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    char text[NI_MAXHOST];
    // Connecting a datagram socket only chooses a route.
    if (probe.fd >= 0 &&
        connect(probe.fd, each->ai_addr, each->ai_addrlen) == 0 &&
        getsockname(probe.fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr*>(&own),
                    size,
                    text,
                    sizeof text,
                    nullptr,
                    0,
                    NI_NUMERICHOST) == 0) {
      return text;
    }
  }
  throw std::runtime_error("no interface reaches '" + host +
                           "'; GLOO_SOCKET_IFNAME can name one");
}

int listen_on_loopback(uint16_t port) {
  Socket out(AF_INET, SOCK_STREAM);
  const int yes = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (out.fd < 0 ||
      setsockopt(out.fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      bind(out.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) !=
          0 ||
      listen(out.fd, SOMAXCONN) != 0) {
    throw std::runtime_error("cannot listen on port " + std::to_string(port) +
                             ": " + std::generic_category().message(errno));
  }
  return out.release();
}

}  // namespace declip

#endif
