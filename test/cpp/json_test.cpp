#include "files/json.h"

#include "tap.h"

using declip::ErrorCode;
using declip::Json;
using declip::parse_json;

TEST(json_values) {
  const Json json = parse_json(
      R"( {"a": [1, -2, 0.5, 1e3, true, false, null], "b": {"c": "x"}} )",
      "test");
  const Json::Array& items = *json.find("a")->array();
  CHECK(items.size() == 7);
  CHECK(items[0].integer() == 1);
  CHECK(items[1].integer() == -2);
  CHECK(!items[2].integer());
  CHECK_CLOSE(*items[2].number(), 0.5, 0);
  CHECK_CLOSE(*items[3].number(), 1000, 0);
  CHECK(items[4].boolean() == true);
  CHECK(items[5].boolean() == false);
  CHECK(items[6].is_null());
  CHECK(*json.find("b")->find("c")->string() == "x");
  CHECK(json.find("none") == nullptr);
}

TEST(json_keeps_64_bit_integers) {
  CHECK(parse_json("9223372036854775807", "t").integer() == INT64_MAX);
  CHECK(parse_json("-9223372036854775808", "t").integer() == INT64_MIN);
  CHECK(!parse_json("9223372036854775808", "t").integer());
}

TEST(json_escapes) {
  const Json json =
      parse_json(R"("\"\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00")", "test");
  CHECK(*json.string() == "\"\\/\b\f\n\r\t\u00e9\u20ac\U0001F600");
}

TEST(json_refuses) {
  const std::string deep(100, '[');
  for (const std::string& text : {std::string(),
                                  std::string("{"),
                                  std::string("[1,]"),
                                  std::string("{\"a\":1,}"),
                                  std::string("{\"a\" 1}"),
                                  std::string("{a:1}"),
                                  std::string("01"),
                                  std::string("1."),
                                  std::string("-"),
                                  std::string(".5"),
                                  std::string("1e"),
                                  std::string("1e999"),
                                  std::string("NaN"),
                                  std::string("tru"),
                                  std::string("1 2"),
                                  std::string("\"a"),
                                  std::string("\"\\x\""),
                                  std::string("\"\\u12\""),
                                  std::string("\"\\ud83d\""),
                                  std::string("\"\\ude00\""),
                                  std::string("\"\n\""),
                                  std::string("\"\xff\""),
                                  std::string("\"\xc0\xaf\""),
                                  std::string("\"\xed\xa0\x80\""),
                                  std::string("\"\\"),
                                  deep,
                                  std::string("[\0]", 3)}) {
    CHECK_THROWS_CODE(parse_json(text, "test"), ErrorCode::kWeights);
  }
  const std::string message = CHECK_THROWS_CODE(
      parse_json(R"({"a": 1, "a": 2})", "config.json"), ErrorCode::kWeights);
  CHECK(message.starts_with("config.json"));
  CHECK(message.find("\"a\" only once") != std::string::npos);
}
