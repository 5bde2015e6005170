#include "declip/job_size.h"

#include <string>

#include "tap.h"

using declip::Size;
using declip::threads_of;

TEST(job_size_of_labels_grows_with_pixels_words_and_pamr) {
  declip::PostOptions post;
  const auto threads = [&](Size picture, int64_t words) {
    return threads_of(declip::size_of_labels(picture, words, post), 16);
  };
  CHECK(threads({480, 640}, 20) == 1);
  CHECK(threads({480, 640}, 800) > 1);
  CHECK(threads({3000, 4000}, 2) == 1);
  post.area_threshold = 0.1;
  CHECK(threads({3000, 4000}, 2) == 16);  // for its memory
  post = {};
  post.pamr_iterations = 10;
  CHECK(threads({480, 640}, 80) > 1);
  post = {};
  post.logits = true;
  CHECK(threads({480, 640}, 60) == 16);
}

TEST(job_size_of_a_picture_grows_with_its_windows) {
  declip::LoadOptions options;
  options.device = "cpu";
  const auto model = declip::Model::load(
      std::string(DECLIP_FIXTURES) + "/clip-tiny/state_dict.pt", options, {});
  declip::EncodeOptions encode;
  encode.window = 32;
  encode.stride = 16;
  const auto operations = [&](Size picture) {
    return declip::size_of_encoding(*model, picture, true, encode).operations;
  };
  const double small = operations({64, 64});
  CHECK(threads_of(declip::size_of_encoding(*model, {64, 64}, true, encode),
                   16) == 1);
  CHECK_CLOSE(operations({640, 640}) / small, 39.0 * 39 / 9, 20);
  encode.short_side = 64;
  CHECK(operations({640, 640}) < 20 * small);
  encode.augment = true;
  CHECK(operations({64, 64}) > 3 * small);
  // What the job itself refuses has a size, too.
  encode.short_side = int64_t{1} << 40;
  encode.long_side = encode.short_side;
  CHECK(declip::size_of_encoding(*model, {1, 1}, true, encode).operations == 0);
  encode.stride = 0;
  encode.pad_to = 0;
  declip::size_of_encoding(*model, {0, 0}, true, encode);

  CHECK(declip::size_of_texts(*model, 1).operations <
        declip::size_of_texts(*model, 2).operations);
  CHECK(threads_of(declip::size_of_pass(*model, 100000, {224, 224}), 16) == 16);
}
