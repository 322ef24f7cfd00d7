// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/client.h"

#include <curl/curl.h>

#include <memory>
#include <optional>

#include "control/json_body.h"

namespace mailweir {
namespace {

constexpr std::chrono::seconds kPostTimeout{60};

struct CurlCleanup {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Curl = std::unique_ptr<CURL, CurlCleanup>;
using Headers = std::unique_ptr<curl_slist, CurlCleanup>;

std::size_t append(char* data, std::size_t, std::size_t size, void* text) noexcept {
  try {
    static_cast<std::string*>(text)->append(data, size);
    return size;
  } catch (const std::bad_alloc&) {
    return 0;  // ends the transfer with an error
  }
}

Error not_connected(const std::string& socket, int code) {
  switch (code) {
    case ENOENT:
    case ECONNREFUSED:
      return {code, "no daemon listens on " + socket +
                        " (start it with: systemctl start mailweir, or mailweir run)"};
    case EACCES:
    case EPERM:
      return {EACCES, "open " + socket + ": permission denied"};
    case 0:
      return {ECONNREFUSED, "connect to " + socket + " failed"};
    default:
      return sys_error(code, "connect to " + socket);
  }
}

Error failed_transfer(CURL* curl, CURLcode code, const std::string& socket,
                      std::chrono::seconds timeout) {
  long cause = 0;
  curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &cause);
  switch (code) {
    case CURLE_COULDNT_CONNECT:
      return not_connected(socket, static_cast<int>(cause));
    case CURLE_OPERATION_TIMEDOUT:
      return {ETIMEDOUT, "the daemon on " + socket + " did not answer within " +
                             std::to_string(timeout.count()) +
                             " s (see: systemctl status mailweir)"};
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
      return {ECONNRESET, "the daemon on " + socket +
                              " closed the connection (stopped? see: systemctl status mailweir)"};
    default:
      return {EIO, "ask the daemon on " + socket + ": " + curl_easy_strerror(code)};
  }
}

Result<ClientAnswer> transfer(const std::string& socket, const std::string& path_and_query,
                              std::optional<std::string> body, std::chrono::seconds timeout) {
  const Curl curl(curl_easy_init());
  if (!curl) return Error{ENOMEM, "start the HTTP client"};

  std::string text;
  const std::string url = "http://localhost" + path_and_query;
  curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  // Without these two the environment (http_proxy) and a redirect could lead elsewhere.
  curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, static_cast<long>(timeout.count()));
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &text);
  Headers headers;
  if (body) {
    headers.reset(curl_slist_append(nullptr, "Content-Type: application/json"));
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(body->size()));
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body->data());
  }
  if (const CURLcode code = curl_easy_perform(curl.get()); code != CURLE_OK)
    return failed_transfer(curl.get(), code, socket, timeout);

  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  auto parsed = parse_json(text);
  if (!parsed)
    return Error{EPROTO, "what listens on " + socket + " is no mailweir: HTTP status " +
                             std::to_string(status) + " and a body that is not JSON"};
  return ClientAnswer{static_cast<int>(status), std::move(*parsed)};
}

}  // namespace

Result<ClientAnswer> Client::get(const std::string& path_and_query,
                                 std::chrono::seconds timeout) const {
  return transfer(socket_, path_and_query, std::nullopt, timeout);
}

Result<ClientAnswer> Client::post(const std::string& path, const nlohmann::json& body) const {
  return transfer(socket_, path, json_text(body), kPostTimeout);
}

std::string url_encoded(const std::string& text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string encoded;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

}  // namespace mailweir
