#include "core/tier/type_sidecar.h"

#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/cohere/slots.h"
#include "core/entry/entry.h"

namespace nearlane::tier {
namespace {

using cohere::slot_of;

/// Few letters, so that braces come in every order.
rc::Gen<std::string> keys() {
  return rc::gen::suchThat(rc::gen::container<std::string>(rc::gen::element('{', '}', 'a', '\0')),
                           [](const std::string& key) { return !key.empty(); });
}

TEST(TypeSidecar, HasAName) {
  EXPECT_EQ(type_sidecar("a"), "nearlane:type:{a}");
  EXPECT_EQ(type_sidecar("{u1}:a"), "nearlane:type:of:{u1}:a");
  EXPECT_EQ(type_sidecar("a{b"), "nearlane:type:{a{b}");
  EXPECT_TRUE(type_sidecar("a}b").ends_with("}:a}b")) << type_sidecar("a}b");
  EXPECT_NE(type_sidecar("x"), type_sidecar("{x}"));
}

RC_GTEST_PROP(TypeSidecarProperty, IsInTheSlotOfItsKey, ()) {
  const std::string key = *keys();
  RC_ASSERT(slot_of(type_sidecar(key)) == slot_of(key));
}

/// Every key of up to seven letters, of three; CLUSTER KEYSLOT says the same in servers/http/live.
TEST(TypeSidecar, IsInTheSlotOfItsKeyAndNobodyElses) {
  std::set<std::string> names;
  std::size_t keys = 0;
  for (std::size_t size = 1; size <= 7; ++size) {
    std::size_t most = 1;
    for (std::size_t i = 0; i < size; ++i) most *= 3;
    for (std::size_t number = 0; number < most; ++number, ++keys) {
      std::string key;
      for (std::size_t i = 0, rest = number; i < size; ++i, rest /= 3) key += "{}a"[rest % 3];
      const std::string name = type_sidecar(key);
      ASSERT_EQ(slot_of(name), slot_of(key)) << key;
      ASSERT_TRUE(name.starts_with(kTypePrefix));
      ASSERT_TRUE(names.insert(name).second) << key << " has another key's: " << name;
    }
  }
  // Those, too, that look as if they were sidecars, or a part of one.
  for (const std::string& name : std::set<std::string>(names))
    ASSERT_TRUE(names.insert(type_sidecar(name)).second) << name;
}

RC_GTEST_PROP(TypeSidecarProperty, SaysWhatWasSaidOfThatValueAlone, ()) {
  const auto value = *rc::gen::arbitrary<std::string>();
  const auto other = *rc::gen::arbitrary<std::string>();
  const std::string text = sidecar_text("text/html; charset=utf-8", Entry::digest_of(value));
  RC_ASSERT(own_type_in(text, value) == "text/html; charset=utf-8");
  RC_ASSERT(own_type_in(text, other).has_value() == (other == value));
}

RC_GTEST_PROP(TypeSidecarProperty, TakesAnyBytes, ()) {
  const auto text = *rc::gen::arbitrary<std::string>();
  RC_ASSERT(!own_type_in(text, "value"));
}

TEST(TypeSidecar, SaysNothingWhereItIsDamaged) {
  const std::string text = sidecar_text("a/b", Entry::digest_of("value"));
  EXPECT_EQ(text, "87d57e269b9df0f0 a/b");
  ASSERT_EQ(own_type_in(text, "value"), "a/b");
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_EQ(own_type_in(text.substr(0, size), "value"), std::nullopt) << size;
  EXPECT_EQ(own_type_in(text + "\r\nX: y", "value"), std::nullopt);
  EXPECT_EQ(own_type_in(text + " ", "value"), std::nullopt);
  std::string upper = text;
  for (std::size_t i = 0; i < 16; ++i) upper[i] = upper[i] == 'e' ? 'E' : upper[i];
  EXPECT_EQ(own_type_in(upper, "value"), std::nullopt);
}

}  // namespace
}  // namespace nearlane::tier
