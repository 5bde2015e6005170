#include "segment/cat_seg_view.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "declip/encoded_image.h"
#include "declip/model.h"
#include "segment/aggregate.h"

namespace declip {
namespace {

/// Words x patches of a call of the head: enough to keep its products at their
/// best. Windows of one picture are asked together up to this.
constexpr int64_t kCatSegTokens = 1 << 14;

/// Maps of all inputs, filled in batch by batch.
void put_maps(at::Tensor& all,
              const at::Tensor& part,
              int64_t first,
              int64_t inputs) {
  if (!all.defined()) {
    auto shape = part.sizes().vec();
    shape[0] = inputs;
    all = at::empty(shape, part.options());
  }
  all.narrow(0, first, part.size(0)).copy_(part);
}

CatSegMaps maps_of(const CatSegMaps& all, int64_t first, int64_t count) {
  return {all.features.narrow(0, first, count),
          all.image.narrow(0, first, count),
          all.decoder1.narrow(0, first, count),
          all.decoder2.narrow(0, first, count)};
}

int64_t aggregated(const CatSegConfig& config,
                   const CatSegQuestion& question,
                   int64_t words) {
  const int64_t limit = question.word_limit.value_or(config.word_limit);
  return limit > 0 ? std::min(words, limit) : words;
}

}  // namespace

CatSegView::CatSegView(std::shared_ptr<const CatSeg> head,
                       const CatSegGeometry& geometry,
                       const CatSegQuestion& question,
                       const CatSegInput& input,
                       const CatSegTower& tower,
                       int64_t together,
                       const Call& call)
    : head_(std::move(head)), geometry_(geometry), question_(question) {
  const int64_t inputs = geometry.inputs();
  for (int64_t first = 0; first < inputs; first += together) {
    call.check();
    const int64_t last = std::min(first + together, inputs);
    const auto maps = head_->encode(tower(input.make(first, last)), call);
    put_maps(maps_.features, maps.features, first, inputs);
    put_maps(maps_.image, maps.image, first, inputs);
    put_maps(maps_.decoder1, maps.decoder1, first, inputs);
    put_maps(maps_.decoder2, maps.decoder2, first, inputs);
    call.report(Step::kEncode, last, inputs);
  }
}

int64_t CatSegView::bytes() const {
  const auto of = [](const at::Tensor& x) {
    return static_cast<int64_t>(x.nbytes());
  };
  return of(maps_.features) + of(maps_.image) + of(maps_.decoder1) +
         of(maps_.decoder2);
}

double CatSegView::patch(int64_t width) const {
  const double share = geometry_.sliding
                           ? static_cast<double>(geometry_.cut) /
                                 static_cast<double>(geometry_.canvas.width)
                           : 1.0;
  return share * static_cast<double>(width) /
         static_cast<double>(maps_.features.size(3));
}

double CatSegView::operations(int64_t words) const {
  return cat_seg_operations(head_->config(),
                            question_,
                            maps_.features.size(0),
                            maps_.features.size(2),
                            words);
}

CatSegLogits CatSegView::logits(const at::Tensor& text,
                                const Call& call) const {
  if (text.dim() < 2 || text.size(0) < 1) {
    throw Error(ErrorCode::kInvalidArg,
                "Text features must be [words, " +
                    std::to_string(head_->config().embed_dim) +
                    "], at least one word.");
  }
  const int64_t inputs = maps_.features.size(0);
  const int64_t patches = maps_.features.size(2) * maps_.features.size(3);
  const int64_t words = aggregated(head_->config(), question_, text.size(0));
  const int64_t together =
      std::clamp<int64_t>(kCatSegTokens / (words * patches), 1, inputs);
  // Sub-steps would be told as steps of the whole.
  const Call quiet{call.cancelled, {}};
  CatSegLogits all;
  for (int64_t first = 0; first < inputs; first += together) {
    call.check();
    const int64_t count = std::min(together, inputs - first);
    const auto part =
        head_->logits(maps_of(maps_, first, count), text, question_, quiet);
    put_maps(all.maps, part.maps, first, inputs);
    if (part.kept.defined()) put_maps(all.kept, part.kept, first, inputs);
    call.report(Step::kPixels, first + count, 2 * inputs);
  }
  return all;
}

CatSegPlanes CatSegView::planes(const at::Tensor& text,
                                Size size,
                                const Call& call) const {
  return {logits(text, call), geometry_, text.size(0), size};
}

double cat_seg_operations(const CatSegConfig& config,
                          const CatSegQuestion& question,
                          int64_t inputs,
                          int64_t grid,
                          int64_t words) {
  const auto number = [](int64_t x) { return static_cast<double>(x); };
  const double c = number(config.channels);
  const auto width = [&](size_t level) {
    return level < config.decoder.size() ? number(config.decoder[level]) : c;
  };
  // Products for a word and a patch: 14 c^2 in each of two blocks over places,
  // 13 c^2 over words; then 3 x 3 convolutions of 4 and of 16 places.
  const double each = number(config.layers) * 41 * c * c +
                      4 * 9 * width(0) * (c + width(0)) +
                      16 * 9 * width(1) * (width(0) + width(1));
  return 2 * each * number(inputs) * number(grid * grid) *
         number(aggregated(config, question, words));
}

void check_cat_seg_options(const EncodeOptions& options) {
  const auto refuse = [](const char* what, const char* why) {
    throw Error(ErrorCode::kInvalidArg,
                std::string(what) + " does not go with method 'cat-seg', " +
                    why + ". Leave one of them out.");
  };
  if (options.talk2dino) {
    refuse("talk2dino", "whose words are those of the model's text tower");
  }
  if (options.bank) {
    refuse("bank", "whose scores are made by a head that knows no regions");
  }
  if (options.augment) refuse("augment", "which sees plain windows");
  if (aggregates(options)) refuse("aggregate", "whose head aggregates itself");
  if (options.proxy_sees_picture || options.dense.proxy_model ||
      options.dense.proxy_features.defined()) {
    refuse("proxy", "whose head has learned the features of its own tower");
  }
}

CatSegView see_with_cat_seg(const Model& model,
                            const at::Tensor& image,
                            bool normalised,
                            const EncodeOptions& options,
                            const Call& call) {
  check_cat_seg_options(options);
  const CatSegOptions& own = *options.cat_seg;
  const auto head = model.cat_seg(call).shared_from_this();
  const CatSegConfig& config = head->config();
  const int64_t patch = model.info().config.vision.patch;
  const auto geometry = cat_seg_geometry(config, own, patch);
  StageOptions stages;
  stages.blocks = own.blocks.empty() ? config.blocks : own.blocks;
  if (stages.blocks.size() != 2) {
    throw Error(ErrorCode::kInvalidArg,
                "catSeg.blocks must be two blocks of the tower, whose maps "
                "guide the head; received " +
                    std::to_string(stages.blocks.size()) + ".");
  }
  stages.features = true;
  stages.dense.mode = own.mode.value_or(config.mode);
  stages.dense.positions = options.dense.positions.value_or(Positions::kSize);
  if (own.question.pooling != 1 && own.question.pooling != 2) {
    throw Error(ErrorCode::kInvalidArg,
                "catSeg.pooling must be 1 or 2, received " +
                    std::to_string(own.question.pooling) + ".");
  }
  if (own.question.word_limit.value_or(0) < 0) {
    throw Error(ErrorCode::kInvalidArg,
                "catSeg.wordLimit must be 0 (no limit) or more, received " +
                    std::to_string(*own.question.word_limit) + ".");
  }
  const int64_t grid = geometry.side / patch;
  const int64_t together =
      std::max<int64_t>(1, model.tokens_per_pass() / (1 + grid * grid));
  return {
      head,
      geometry,
      own.question,
      CatSegInput(image, geometry, {model.info().config.pixels, normalised}),
      [&](const at::Tensor& x) { return model.encode_stages(x, stages, call); },
      together,
      call};
}

}  // namespace declip
