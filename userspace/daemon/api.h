// SPDX-License-Identifier: GPL-2.0-or-later
// The paths under /v1/: reads a request, asks the controller, answers as docs/api.md says.
#pragma once

#include <functional>

#include "control/http.h"
#include "daemon/controller.h"
#include "daemon/sampler.h"
#include "daemon/state.h"
#include "daemon/syn_log.h"

namespace mailweir {

class Api {
 public:
  /// Reads the configuration file again; returns its warnings, or all problems as one error.
  using Reload = std::function<Result<std::vector<std::string>>()>;

  Api(Controller& controller, Datapath& datapath, const Clock& clock, DaemonState& state,
      Sampler& sampler, SynLog& syn_log, Reload reload)
      : controller_(controller),
        datapath_(datapath),
        sampler_(sampler),
        clock_(clock),
        state_(state),
        syn_log_(syn_log),
        reload_(std::move(reload)) {}

  [[nodiscard]] HttpAnswer answer(const HttpRequest& request);

 private:
  HttpAnswer get(const HttpRequest& request);
  HttpAnswer post(const HttpRequest& request);
  HttpAnswer status();
  HttpAnswer sources(const HttpRequest& request);
  HttpAnswer source(const std::string& text);
  HttpAnswer blocks();
  HttpAnswer simulate(const HttpRequest& request);
  HttpAnswer events(const HttpRequest& request);
  HttpAnswer allow_list(const std::string& address);
  HttpAnswer block(const HttpRequest& request);
  HttpAnswer unblock(const HttpRequest& request);
  HttpAnswer edit_allowlist(const HttpRequest& request, bool add);
  HttpAnswer mode(const HttpRequest& request);
  HttpAnswer log(const HttpRequest& request);
  HttpAnswer reload();
  [[nodiscard]] nlohmann::json log_json() const;
  [[nodiscard]] nlohmann::json problems() const;

  Controller& controller_;
  Datapath& datapath_;
  Sampler& sampler_;
  const Clock& clock_;
  DaemonState& state_;
  SynLog& syn_log_;
  Reload reload_;
};

}  // namespace mailweir
