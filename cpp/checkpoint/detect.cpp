#include "checkpoint/detect.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "declip/error.h"
#include "files/foreign_formats.h"
#include "files/text.h"

namespace declip {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

constexpr Refusal kTextOnly{
    .name = "A text tower alone",
    .told_by = "`text_model.*` or `token_embedding.weight`, and no image tower",
    .why = "it holds a text tower and no vision tower",
    .instead = "load the whole model, which gives text features too"};
constexpr Refusal kDino3{
    .name = "DINOv3",
    .told_by = "`layer.0.attention.q_proj.weight`",
    .why = "it is DINOv3, which has rotary positions",
    .instead =
        "of the vision foundation models, DINO, DINOv2 and SAM are "
        "supported"};
constexpr Refusal kOtherVit{
    .name = "Other vision transformers",
    .told_by = "`blocks.0.attn.qkv.weight` and the like",
    .why =
        "it is a vision transformer whose names fit none of the layouts of "
        "DINO, DINOv2 or SAM",
    .instead =
        "a training checkpoint holds several models: save one of them "
        "alone"};
constexpr Refusal kOtherSam{
    .name = "SAM 2, MobileSAM and other kin of SAM",
    .told_by = "`image_encoder.*` or `vision_encoder.*` that is no ViT",
    .why =
        "it is a SAM with another image encoder than the ViT (SAM 2, "
        "MobileSAM)",
    .instead = "take SAM itself: ViT-B, -L or -H"};

// What is known without belonging to a family, for files that none of them
// takes or refuses. In order; the first that any key matches decides.
constexpr std::array kOthers{
    Signature{.key = "token_embedding.weight", .refusal = &kTextOnly},
    Signature{.key = "text.token_embedding.weight", .refusal = &kTextOnly},
    Signature{.key = "text_model.*", .refusal = &kTextOnly},
    Signature{.key = "embeddings.token_embedding.weight",
              .refusal = &kTextOnly},
    Signature{.key = "layer.#.attention.q_proj.weight", .refusal = &kDino3},
    Signature{.key = "*layer.#.attention.q_proj.weight", .refusal = &kOtherVit},
    Signature{.key = "*blocks.#.attn.qkv.weight", .refusal = &kOtherVit},
    Signature{.key = "*layers.#.attn.qkv.weight", .refusal = &kOtherVit},
    Signature{.key = "*layers.#.attention.q_proj.weight",
              .refusal = &kOtherVit},
    Signature{.key = "*layer.#.attention.attention.query.weight",
              .refusal = &kOtherVit},
    Signature{.key = "image_encoder.*", .refusal = &kOtherSam},
    Signature{.key = "vision_encoder.*", .refusal = &kOtherSam},
};

[[noreturn]] void reject(const std::string& path, const std::string& why) {
  throw Error(ErrorCode::kWeights,
              path + ": not a checkpoint this package runs: " + why + ".");
}

bool has_key(const Tensors& tensors, std::string_view pattern) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const auto& named) {
    return match_key(pattern, named.first).has_value();
  });
}

/// The prefix behind which the file has what `signature` looks for.
std::optional<std::string> match(const Tensors& tensors,
                                 const Signature& signature) {
  constexpr std::array<std::string_view, 1> kNone{""};
  const std::span<const std::string_view> prefixes =
      signature.prefixes.empty() ? kNone : signature.prefixes;
  for (const std::string_view prefix : prefixes) {
    const auto behind = [&](std::string_view key) {
      return std::string(prefix).append(key);
    };
    if (has_key(tensors, behind(signature.key)) &&
        (signature.also.empty() || has_key(tensors, behind(signature.also))) &&
        (signature.without.empty() ||
         !has_key(tensors, behind(signature.without)))) {
      return std::string(prefix);
    }
  }
  return std::nullopt;
}

/// "OpenAI, EVA02-CLIP, DINO or SAM": those with texts as they are listed, then
/// vision foundation models by name.
std::string titles(Families families) {
  std::vector<const FamilySpec*> sorted(families.begin(), families.end());
  const auto rank = [](const FamilySpec* family) {
    return family->text != nullptr ? std::string_view() : family->title;
  };
  std::stable_sort(sorted.begin(), sorted.end(), [&](auto* a, auto* b) {
    return rank(a) < rank(b);
  });
  std::string out;
  for (const FamilySpec* family : sorted) {
    if (!out.empty()) out += family == sorted.back() ? " or " : ", ";
    out += family->title;
  }
  return out;
}

/// What all names begin with, for a message; empty if they share nothing.
std::string shared_beginning(const std::map<std::string, at::Tensor>& tensors) {
  const std::string& first = tensors.begin()->first;
  const std::string& last = tensors.rbegin()->first;  // names are in order
  const auto end =
      std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
  const size_t dot = std::string(first.begin(), end).rfind('.');
  if (dot == std::string::npos || tensors.size() < 2) return "";
  return "; all begin with " + in_quotes(first.substr(0, dot + 1)) +
         ", and no name is known without that either";
}

}  // namespace

std::vector<const Refusal*> all_refusals(Families families) {
  std::vector<const Refusal*> out;
  const auto add = [&](std::span<const Signature> signatures) {
    for (const Signature& signature : signatures) {
      const Refusal* refusal = signature.refusal;
      if (refusal != nullptr &&
          std::find(out.begin(), out.end(), refusal) == out.end()) {
        out.push_back(refusal);
      }
    }
  };
  for (const FamilySpec* family : families) add(family->signatures);
  add(kOthers);
  for (const Refusal* format : foreign_formats()) out.push_back(format);
  return out;
}

bool has_known_names(const Tensors& tensors, Families families) {
  const auto known = [&](const Signature& signature) {
    return match(tensors, signature).has_value();
  };
  return std::any_of(families.begin(),
                     families.end(),
                     [&](const FamilySpec* family) {
                       return std::any_of(family->signatures.begin(),
                                          family->signatures.end(),
                                          known);
                     }) ||
         std::any_of(kOthers.begin(), kOthers.end(), known);
}

Detected detect(const Tensors& tensors,
                const std::string& path,
                Families families) {
  for (const FamilySpec* family : families) {
    for (const Signature& signature : family->signatures) {
      const auto prefix = match(tensors, signature);
      if (!prefix) continue;
      if (signature.layout == nullptr) {
        reject(path, sentence(*signature.refusal));
      }
      return {family, signature.layout, *prefix};
    }
  }
  for (const Signature& signature : kOthers) {
    if (match(tensors, signature)) reject(path, sentence(*signature.refusal));
  }
  reject(path,
         tensors.empty()
             ? "it holds no tensors"
             : "none of its " + std::to_string(tensors.size()) +
                   " tensors has a name of " + titles(families) +
                   " (the first is " + in_quotes(tensors.begin()->first) +
                   shared_beginning(tensors) + ")");
}

}  // namespace declip
