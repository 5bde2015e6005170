#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/safetensors.h"
#include "files/json.h"
#include "png.h"
#include "tap.h"

/// A folder of test/fixtures with a manifest.json: cases with options and
/// expected tensors, each with its tolerance.
class Golden {
 public:
  explicit Golden(const std::string& folder)
      : folder_(folder),
        manifest_(declip::parse_json(files::read(path("manifest.json")),
                                     "manifest.json")) {}

  std::string path(const std::string& file) const {
    return files::fixture(folder_ + "/" + file);
  }

  std::vector<std::string> ids() const {
    std::vector<std::string> out;
    for (const auto& one : *manifest_.find("cases")->array()) {
      out.push_back(*one.find("id")->string());
    }
    return out;
  }

  const declip::Json& at(const std::string& id) const {
    for (const auto& one : *manifest_.find("cases")->array()) {
      if (*one.find("id")->string() == id) return one;
    }
    throw std::runtime_error("no case " + id);
  }

  /// A tensor that the manifest points to: { file, tensor }. Where only every
  /// `stored_every`-th place of an axis is stored, from the first one on, the
  /// others are NaN, which compare() passes over.
  at::Tensor tensor(const declip::Json& spec) const {
    const auto& file = *spec.find("file")->string();
    auto& read = files_[file];
    if (read.empty()) read = declip::read_safetensors(path(file)).tensors;
    const auto stored = read.at(*spec.find("tensor")->string());
    const auto* every = spec.find("stored_every");
    if (!every || !every->array()) return stored;
    std::vector<int64_t> shape;
    for (const auto& side : *spec.find("full_shape")->array())
      shape.push_back(*side.integer());
    auto whole = at::full(shape, NAN, stored.options());
    auto part = whole;
    int64_t axis = 0;
    for (const auto& step : *every->array())
      part = part.slice(axis++, std::nullopt, std::nullopt, *step.integer());
    part.copy_(stored);
    return whole;
  }

  /// The picture that input `image` of a case names, normalised as it says:
  /// [1, 3, H, W] float32.
  at::Tensor image(const std::string& id) const {
    const auto& spec = *at(id).find("inputs")->find("image");
    const auto numbers = [&](const char* name) {
      const auto& found = *spec.find("normalise")->find(name)->array();
      auto out = at::empty({1, 3, 1, 1}, at::kFloat);
      for (size_t c = 0; c < 3; ++c)
        out[0][static_cast<int64_t>(c)].fill_(*found[c].number());
      return out;
    };
    const auto pixels = png::read(path(*spec.find("png")->string()));
    const auto std = numbers("std");
    // Statistics above 1 are of 0..255.
    const double scale = std.max().item<double>() > 1 ? 1 : 255;
    const auto unit =
        pixels.to(at::kFloat).permute({2, 0, 1}).unsqueeze(0) / scale;
    return ((unit - numbers("mean")) / std).contiguous();
  }

  /// Fails the running test unless `got` is what output `name` of a case says.
  void compare(const std::string& id,
               const std::string& name,
               const at::Tensor& got) const {
    const auto& spec = *at(id).find("outputs")->find(name);
    const auto expected = tensor(spec).to(at::kDouble);
    const auto actual = got.detach().to(at::kDouble).reshape(expected.sizes());
    const auto off = (actual - expected).abs();
    const auto tolerance = [&](const char* which) {
      const auto* given = spec.find(which);  // none where it must be equal
      return given ? *given->number() : 0.0;
    };
    const auto allowed = tolerance("atol") + tolerance("rtol") * expected.abs();
    const auto stored = expected.isnan().logical_not();
    // Negated, so that NaN fails.
    const double passed = off.le(allowed)
                              .masked_select(stored)
                              .to(at::kDouble)
                              .mean()
                              .item<double>();
    const auto* fraction = spec.find("fraction_must_pass");
    if (passed >= (fraction ? *fraction->number() : 1.0)) return;
    tap::fail(__FILE__,
              __LINE__,
              id + " " + name + ": only " + std::to_string(passed) +
                  " within tolerance, off by " +
                  std::to_string((off / allowed).max().item<double>()) +
                  " times as much as allowed");
  }

 private:
  std::string folder_;
  declip::Json manifest_;
  mutable std::map<std::string, std::map<std::string, at::Tensor>> files_;
};
