#pragma once

#include <cstdint>
#include <string>

namespace declip {

/// Whether a host name or address is this machine's loopback.
bool is_loopback(const std::string& host);

/// Address of this machine from which `host` is reached, in numbers: the
/// loopback for itself. Nothing is sent. Throws std::runtime_error.
std::string local_address(const std::string& host);

/// A socket that listens on 127.0.0.1, for the caller to close. Throws
/// std::runtime_error.
int listen_on_loopback(uint16_t port);

}  // namespace declip
