#include "declip/bank.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "checkpoint_files.h"
#include "golden.h"
#include "random_planes.h"
#include "segment/bank_support.h"
#include "tap.h"

using declip::Bank;
using declip::BankRows;
using declip::ErrorCode;

namespace {

BankRows random_rows(Random& random,
                     int64_t pictures,
                     int64_t key_width,
                     const std::vector<int64_t>& widths,
                     const std::string& prefix = "p") {
  BankRows rows;
  int64_t total = 0;
  for (int64_t i = 0; i < pictures; ++i) {
    rows.names.push_back(prefix + std::to_string(i));
    rows.counts.push_back(random.integer(1, 9));
    total += rows.counts.back();
  }
  rows.keys = random.tensor({total, key_width});
  for (const int64_t width : widths)
    rows.values.push_back(random.tensor({total, width}));
  return rows;
}

/// Every cosine in double precision, then a stable sort.
at::Tensor plain_search(const at::Tensor& keys,
                        const at::Tensor& queries,
                        int64_t k) {
  const auto rows = keys.to(at::kHalf).to(at::kDouble);
  const auto scores = at::matmul(
      queries.to(at::kDouble), (rows / (rows.norm(2, {1}, true) + 1e-12)).t());
  return std::get<1>(at::sort(scores, /*stable=*/true, 1, /*descending=*/true))
      .narrow(1, 0, k);
}

std::string temporary(const std::string& name) {
  const auto folder = std::filesystem::temp_directory_path() / "declip-bank";
  std::filesystem::create_directories(folder);
  const auto path = folder / (name + std::to_string(::getpid()) + ".bank");
  std::filesystem::remove(path);
  return path.string();
}

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

TEST(a_search_finds_what_plain_loops_find) {
  Random random;
  const int64_t shapes[][4] = {// pictures, width, queries, neighbours
                               {3, 1, 1, 2},
                               {40, 7, 5, 3},
                               {60, 16, 13, 20},
                               {90, 33, 25, 1},
                               {2000, 70, 500, 11}};
  for (const auto& [pictures, width, count, k] : shapes) {
    const tap::Case name(std::to_string(pictures));
    const auto rows = random_rows(random, pictures, width, {4});
    const auto bank = Bank::from_rows("{}", rows);
    const auto queries = random.tensor({count, width});
    const auto found = bank->search(queries, k, {});
    const auto unit = rows.keys.to(at::kHalf).to(at::kFloat);
    const auto expected = plain_search(rows.keys, queries, k);
    // Rounding may exchange two that are as good.
    const auto cosines =
        at::matmul(queries, (unit / unit.norm(2, {1}, true)).t());
    CHECK_CLOSE(
        distance(cosines.gather(1, found.ids), cosines.gather(1, expected)),
        0,
        2e-5);
    CHECK_CLOSE(distance(found.scores, cosines.gather(1, found.ids)), 0, 2e-5);
    // Of one channel all cosines are 1 or -1, so that rounding is the order.
    if (width > 1) {
      CHECK(found.ids.eq(expected).to(at::kDouble).mean().item<double>() >
            0.99);
    }
    for (int64_t q = 0; q < count; ++q) {
      CHECK(std::get<0>(at::_unique(found.ids[q])).size(0) == k);
    }
  }
}

TEST(of_equal_keys_the_lower_number_comes_first_whatever_the_threads) {
  Random random;
  auto rows = random_rows(random, 3000, 24, {3});
  rows.keys.copy_(rows.keys[0].expand_as(rows.keys));
  const auto bank = Bank::from_rows("{}", rows);
  const auto found = bank->search(random.tensor({7, 24}), 30, {});
  CHECK(found.ids.eq(at::arange(30).expand({7, 30})).all().item<bool>());
}

TEST(neighbours_beyond_the_bank_are_none_and_means_leave_them_out) {
  Random random;
  auto rows = random_rows(random, 1, 5, {6});
  rows.counts = {2};
  rows.keys = rows.keys.narrow(0, 0, 1).repeat({2, 1});
  rows.values[0] = random.tensor({2, 6});
  const auto bank = Bank::from_rows("{}", rows);
  const auto found = bank->search(random.tensor({3, 5}), 4, {});
  CHECK(found.ids.narrow(1, 2, 2).eq(-1).all().item<bool>());
  const auto mean = rows.values[0].to(at::kHalf).to(at::kFloat).mean(0);
  CHECK_CLOSE(distance(bank->mean_values(0, found.ids)[1], mean / mean.norm()),
              0,
              1e-6);
  CHECK_THROWS_CODE(bank->mean_values(1, found.ids), ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(bank->search(random.tensor({3, 6}), 4, {}),
                    ErrorCode::kInvalidArg);
}

TEST(a_file_grows_and_finds_the_same_as_one_made_at_once) {
  Random random;
  const auto path = temporary("grows");
  std::vector<BankRows> parts;
  BankRows all;
  std::vector<at::Tensor> keys, first, second;
  for (int i = 0; i < 4; ++i) {
    parts.push_back(
        random_rows(random, 20, 11, {6, 3}, "s" + std::to_string(i) + "-"));
    const auto& part = parts.back();
    all.names.insert(all.names.end(), part.names.begin(), part.names.end());
    all.counts.insert(all.counts.end(), part.counts.begin(), part.counts.end());
    keys.push_back(part.keys);
    first.push_back(part.values[0]);
    second.push_back(part.values[1]);
    declip::add_to_bank(path, "{\"a\":1}", part);
  }
  all.keys = at::cat(keys);
  all.values = {at::cat(first), at::cat(second)};
  const auto once = Bank::from_rows("{\"a\":1}", all);
  const auto grown = Bank::open(path);
  CHECK(grown->info().parts == 4 && grown->info().unfinished == 0);
  CHECK(grown->info().about == "{\"a\":1}");
  grown->verify({});
  const auto copy = temporary("copy");
  grown->save(copy, {});
  const auto saved = Bank::open(copy);
  saved->verify({});
  const auto queries = random.tensor({9, 11});
  const auto expected = once->search(queries, 12, {});
  for (const auto& bank : {grown, saved}) {
    std::vector<std::string> names;
    std::vector<int64_t> counts;
    bank->pictures(names, counts);
    CHECK(names == all.names && counts == all.counts);
    const auto found = bank->search(queries, 12, {});
    CHECK(found.ids.equal(expected.ids) && found.scores.equal(expected.scores));
    for (size_t set = 0; set < 2; ++set) {
      CHECK(bank->mean_values(set, found.ids)
                .equal(once->mean_values(set, expected.ids)));
    }
    const auto rows = bank->rows(0, bank->info().regions);
    CHECK(rows.keys.equal(all.keys.to(at::kHalf)));
    CHECK(rows.values[1].equal(all.values[1].to(at::kHalf)));
  }
  CHECK_THROWS_CODE(declip::add_to_bank(path, "{\"a\":2}", parts[0]),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(declip::add_to_bank(
                        path, "{\"a\":1}", random_rows(random, 2, 12, {6, 3})),
                    ErrorCode::kInvalidArg);
}

TEST(an_interrupted_addition_leaves_what_was_there_and_the_next_one_goes_on) {
  Random random;
  const auto path = temporary("interrupted");
  const auto before = random_rows(random, 9, 8, {4}, "a");
  declip::add_to_bank(path, "{}", before);
  const auto old = contents(path);
  declip::add_to_bank(path, "{}", random_rows(random, 5, 8, {4}, "b"));
  const auto whole = contents(path);
  // Whatever of the addition's part was written, its commit was not.
  for (const size_t cut : {old.size() + 1, old.size() + 200, whole.size()}) {
    put(path, old + whole.substr(old.size(), cut - old.size()));
    const auto bank = Bank::open(path);
    CHECK(bank->info().pictures == 9);
    CHECK(bank->info().unfinished == static_cast<int64_t>(cut - old.size()));
    declip::add_to_bank(path, "{}", random_rows(random, 3, 8, {4}, "c"));
    CHECK(Bank::open(path)->info().pictures == 12);
    Bank::open(path)->verify({});
  }
  // A commit that is half written is none.
  auto torn = whole;
  torn[2048 + 9] = static_cast<char>(torn[2048 + 9] ^ 1);
  put(path, torn);
  CHECK(Bank::open(path)->info().pictures == 9);
}

TEST(damaged_and_hostile_files_are_refused) {
  Random random;
  const auto path = temporary("damaged");
  declip::add_to_bank(path, "{\"x\":1}", random_rows(random, 6, 5, {7}));
  declip::add_to_bank(path, "{\"x\":1}", random_rows(random, 6, 5, {7}, "q"));
  const auto whole = contents(path);
  put(path, "no bank at all");
  CHECK_THROWS_CODE(Bank::open(path), ErrorCode::kWeights);
  for (size_t size = 1; size < whole.size(); size += 1021) {
    put(path, whole.substr(0, size));
    CHECK_THROWS_CODE(Bank::open(path), ErrorCode::kWeights);
  }
  // One changed byte anywhere that means something: an error at the latest
  // when rows are verified, or the commit before.
  size_t refused = 0, older = 0;
  for (size_t at = 0; at < whole.size(); at += 67) {
    auto changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x40);
    put(path, changed);
    try {
      const auto bank = Bank::open(path);
      bank->verify({});
      older += bank->info().pictures < 12 ? 1 : 0;
      const auto rows = bank->rows(0, bank->info().regions);
      CHECK(bank->search(random.tensor({2, 5}), 3, {}).ids.size(0) == 2);
    } catch (const declip::Error& error) {
      CHECK(error.code() == ErrorCode::kWeights);
      ++refused;
    }
  }
  CHECK(refused > (whole.size() - 8192) / 80);
  CHECK(older <= 1);
}

TEST(rows_that_cannot_be_kept_are_refused) {
  Random random;
  auto rows = random_rows(random, 3, 4, {2});
  rows.keys[0][0] = 1e6;
  CHECK_THROWS_CODE(Bank::from_rows("{}", rows), ErrorCode::kInvalidArg);
  rows = random_rows(random, 3, 4, {2});
  rows.counts[1] += 1;
  CHECK_THROWS_CODE(Bank::from_rows("{}", rows), ErrorCode::kInvalidArg);
  rows = random_rows(random, 3, 4, {2});
  rows.names[2] = "";
  CHECK_THROWS_CODE(Bank::from_rows("{}", rows), ErrorCode::kInvalidArg);
}

TEST(a_cancelled_search_stops) {
  Random random;
  const auto bank = Bank::from_rows("{}", random_rows(random, 50, 4, {2}));
  declip::Call call;
  call.cancelled = std::make_shared<std::atomic<bool>>(true);
  CHECK_THROWS_CODE(bank->search(random.tensor({1, 4}), 2, call),
                    ErrorCode::kAborted);
}

TEST(planes_mix_the_scores_of_regions_at_the_resized_size) {
  Random random;
  const auto plan = declip::plan_windows(18, 25, 12, 6, 1);
  const auto low = random.tensor({plan.size(), 3, 4, 4});
  declip::ScoreShare share;
  share.scores = random.tensor({3, 5});
  share.index = at::empty({18, 25}, at::kInt);
  share.share = 0.3;
  for (int64_t y = 0; y < 18; ++y)
    for (int64_t x = 0; x < 25; ++x) share.index[y][x] = random.integer(0, 4);
  for (const declip::Size size : {declip::Size{18, 25}, declip::Size{31, 40}}) {
    const declip::PlaneSource with(low, plan, size, &share);
    const declip::PlaneSource working(low, plan, {18, 25});
    at::Tensor scratch;
    for (int64_t q = 0; q < 3; ++q) {
      auto plane = at::empty({18, 25}, at::kFloat);
      working.write(q, {0, 18}, plane, scratch);
      const auto support =
          share.scores[q].index_select(0, share.index.flatten()).view({18, 25});
      auto expected = 0.7 * plane + 0.3 * support;
      if (size.height != 18) {
        expected = at::upsample_bilinear2d(expected.unsqueeze(0).unsqueeze(0),
                                           {size.height, size.width},
                                           false)[0][0];
      }
      auto got = at::empty({size.height, size.width}, at::kFloat);
      at::Tensor own;
      for (int64_t y = 0; y < size.height; y += 7) {
        const int64_t end = std::min(size.height, y + 7);
        with.write(q, {y, end}, got.narrow(0, y, end - y), own);
      }
      CHECK_CLOSE(distance(got, expected), 0, 2e-6);
    }
  }
}

TEST(means_of_planes_are_means_over_pixels) {
  Random random;
  const auto plan = declip::plan_windows(150, 40, 40, 25, 1);
  const declip::PlaneSource source(
      random.tensor({plan.size(), 6, 5, 5}), plan, {150, 40});
  auto regions = at::empty({150, 40}, at::kInt);
  for (int64_t y = 0; y < 150; ++y)
    for (int64_t x = 0; x < 40; ++x) regions[y][x] = 7 * random.integer(0, 3);
  const auto rows = declip::rows_of_regions(regions, 1);
  CHECK(rows.count == 3);
  const auto got = declip::mean_planes(source, rows, {});
  at::Tensor scratch;
  auto plane = at::empty({150, 40}, at::kFloat);
  for (int64_t c = 0; c < 6; ++c) {
    source.write(c, {0, 150}, plane, scratch);
    for (int64_t r = 0; r < 3; ++r) {
      const auto mean = plane.masked_select(regions.eq(7 * (r + 1))).mean();
      CHECK_CLOSE(got[r][c].item<float>(), mean.item<float>(), 1e-6);
    }
  }
}

TEST(retrieval_is_the_authors_stage_by_stage) {
  const Golden golden("leading-methods");
  for (const std::string id : {"bank-retrieve", "bank-retrieve-two-encoders"}) {
    const tap::Case name(id);
    const auto& one = golden.at(id);
    const auto& inputs = *one.find("inputs");
    BankRows rows;
    rows.keys = golden.tensor(*inputs.find("bank_keys"));
    rows.values.push_back(golden.tensor(*inputs.find("bank_values")));
    auto text = golden.tensor(*inputs.find("text_features"));
    if (const auto* more = inputs.find("aux_values")) {
      rows.values.push_back(golden.tensor(*more));
      text =
          at::cat({text, golden.tensor(*inputs.find("aux_text_features"))}, 1);
    }
    rows.names = {"all"};
    rows.counts = {rows.keys.size(0)};
    const auto bank = Bank::from_rows("{}", rows);
    const auto& first = *golden.at("bank-retrieve").find("outputs");
    const auto queries = golden.tensor(*first.find("query_embeddings"));
    const auto expected = golden.tensor(*first.find("neighbours"));
    const auto found = bank->search(queries, expected.size(1), {});
    golden.compare("bank-retrieve", "scores", found.scores);
    CHECK(found.ids.eq(expected).all().item<bool>());
    declip::BankSupport support;
    for (size_t set = 0; set < rows.values.size(); ++set)
      support.values.push_back(bank->mean_values(set, found.ids));
    golden.compare(id,
                   "region_support_logits",
                   declip::bank_scores(support, text).scores.t());
  }
}
