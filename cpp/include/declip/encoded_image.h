#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "declip/call.h"
#include "declip/dense.h"
#include "declip/pipeline.h"
#include "declip/size.h"

namespace declip {

class Bank;
class Model;
struct CatSegOptions;
struct Talk2DinoOptions;

/// From a picture to features of its windows.
struct EncodeOptions {
  DenseOptions dense;
  int64_t short_side = 0;    // pixels; 0: the picture's own size
  int64_t long_side = 2048;  // pixels; resized pictures are at most this long
  bool enlarge = true;       // false: smaller pictures keep their size
  int64_t window = 224;      // pixels; 0: one pass over the whole picture
  int64_t stride = 112;      // pixels
  int64_t pad_to = 1;        // windows are zero-padded to a multiple of this
  bool augment = false;      // ITACLIP's image engineering
  double augment_weight = 0.75;  // original, grey, blurred against flipped
  /// Joins the windows' features and lets every patch of the picture attend to
  /// all others that are like it, with this gain; 0: does not.
  double aggregate_gain = 0;
  /// int32 [H, W] of the picture as it came: the region of every pixel, 0 for
  /// none. Undefined without.
  at::Tensor regions;
  /// The foundation model sees the whole picture in its own size, not windows.
  bool proxy_sees_picture = false;
  /// What like regions of other pictures add to the scores; null without.
  std::shared_ptr<const Bank> bank;
  int64_t bank_neighbours = 20;
  double bank_share = 0.5;  // of the scores
  /// Words of a text tower in the space of a DINOv2, which needs none of its
  /// own then (declip/talk2dino.h). Null without.
  std::shared_ptr<const Talk2DinoOptions> talk2dino;
  /// The picture is seen and words are answered by CAT-Seg's head
  /// (declip/cat_seg.h); of the above only `regions` counts then, and
  /// `short_side` and `long_side`: the first resize, by Pillow's rule. Null
  /// without.
  std::shared_ptr<const CatSegOptions> cat_seg;
};

/// The size that a picture has when windows are cut from it.
Size working_size(Size picture, const EncodeOptions& options);

/// 8-bit pixels [H, W, C] in working_size(), as encode() would resize them.
at::Tensor resize_to_working_size(const at::Tensor& pixels,
                                  const EncodeOptions& options);

/// The windows of a picture of this size. Of CAT-Seg's inputs, where options
/// leave sides to the head, as many as released heads have.
int64_t count_windows(Size picture, const EncodeOptions& options);

/// A picture: 8-bit pixels of any size, or pixels that are already normalised
/// (then nothing is resized).
struct Picture {
  at::Tensor pixels;  // uint8 [H, W, C] as rgb_pixels() takes it
  /// Of the picture, where `pixels` are already resized to its working_size().
  std::optional<Size> size;
  at::Tensor normalised;  // float [1, 3, H, W]; then the above is unused
};

/// Where a map of similarity is highest.
struct PeakOptions {
  int64_t limit = 10;     // most of one text
  double min_score = -1;  // cosine
  /// Between two of one text, in pixels of the picture; below 0: twice a patch.
  double min_distance = -1;
};

/// A place in the picture: (0, 0) is its top left corner, (W, H) its bottom
/// right one.
struct Peak {
  int64_t text = 0;
  double x = 0, y = 0;
  double score = 0;  // as similarity() has it
};

/// An encoded picture. Any number of vocabularies can be asked of it without
/// another pass through the tower. Immutable.
class EncodedImage {
 public:
  static std::shared_ptr<const EncodedImage> encode(
      const Model& model,
      const Picture& picture,
      const EncodeOptions& options,
      const Call& call);
  ~EncodedImage();

  int64_t height() const;
  int64_t width() const;
  int64_t windows() const;
  int64_t bytes() const;
  /// What asking so many words takes, without their planes' pixels.
  double operations(int64_t words) const;

  /// text [Q, E], one row per word; word_class[q] is the class 0..C-1 of word
  /// q.
  Segmentation segment(const at::Tensor& text,
                       const std::vector<int64_t>& word_class,
                       const PostOptions& options,
                       const Call& call) const;

  /// Cosine of every pixel with every row of text [K, E]: float32 [K, H, W],
  /// averaged over windows, upsampled, neither refined nor scaled. With CAT-Seg
  /// the probability that its head gives each row in the company of the others.
  at::Tensor similarity(const at::Tensor& text, const Call& call) const;

  /// The highest places of the similarity with every row of text [K, E], row
  /// after row, best first. They are looked for in the resized picture, whose
  /// pixels are as fine as windows are blended.
  std::vector<Peak> peaks(const at::Tensor& text,
                          const PeakOptions& options,
                          const Call& call) const;

 private:
  struct State;
  explicit EncodedImage(std::unique_ptr<State> state);
  at::Tensor window_logits(const at::Tensor& text) const;

  std::unique_ptr<const State> state_;
};

}  // namespace declip
