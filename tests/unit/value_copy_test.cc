// SPDX-License-Identifier: GPL-2.0-or-later
// How a value of one layout becomes one of another: layouts are written as BTF, as the kernel keeps
// them.
#include "datapath/value_copy.h"

#include <bpf/btf.h>
#include <gmock/gmock.h>

#include <cstring>
#include <memory>

namespace mailweir {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Member {
  const char* name;
  int bytes;
  unsigned elements = 1;
};

/// A struct of integers and arrays of them, members in this order, without holes.
class Layout {
 public:
  explicit Layout(const std::vector<Member>& members) : types_(btf__new_empty(), btf__free) {
    std::vector<int> ids;
    unsigned bytes = 0;
    const int index = btf__add_int(types_.get(), "__u32", 4, 0);
    for (const Member& each : members) {
      const std::string name = "u" + std::to_string(each.bytes * 8);
      int id = btf__add_int(types_.get(), name.c_str(), static_cast<size_t>(each.bytes), 0);
      if (each.elements > 1) id = btf__add_array(types_.get(), index, id, each.elements);
      // Behind a name, as __u32 is one for unsigned int.
      ids.push_back(btf__add_typedef(types_.get(), "mw_name", id));
      bytes += static_cast<unsigned>(each.bytes) * each.elements;
    }
    id_ = btf__add_struct(types_.get(), "mw_value", bytes);
    unsigned at = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
      btf__add_field(types_.get(), members[i].name, ids[i], at * 8, 0);
      at += static_cast<unsigned>(members[i].bytes) * members[i].elements;
    }
  }
  [[nodiscard]] TypeRef ref() const { return {types_.get(), static_cast<std::uint32_t>(id_)}; }

 private:
  std::unique_ptr<btf, void (*)(btf*)> types_;
  int id_ = 0;
};

std::string copied(const ValueCopy& plan, const std::string& from, std::size_t bytes) {
  std::string to(bytes, '.');
  plan.apply(from.data(), to.data());
  return to;
}

TEST(ValueCopyTest, OneLayoutIsOneMove) {
  const Layout layout({{"until", 8}, {"decision", 4}, {"bytes", 1, 16}, {"reason", 4}});
  const ValueCopy plan = plan_copy(layout.ref(), layout.ref());
  ASSERT_EQ(plan.moves.size(), 1U);
  EXPECT_EQ(plan.moves[0].bytes, 32U);
  EXPECT_THAT(plan.lost, IsEmpty());
  EXPECT_THAT(plan.fresh, IsEmpty());
}

TEST(ValueCopyTest, MembersGoWhereTheirNameIs) {
  const Layout from({{"a", 4}, {"b", 2}, {"c", 2}});
  const Layout to({{"c", 2}, {"new", 2}, {"a", 4}});
  const ValueCopy plan = plan_copy(from.ref(), to.ref());
  EXPECT_EQ(copied(plan, "AAAABBCC", 8), "CC..AAAA");
  EXPECT_THAT(plan.lost, ElementsAre("b"));
  EXPECT_THAT(plan.fresh, ElementsAre("new"));
}

TEST(ValueCopyTest, AWiderIntegerTakesTheNarrowerOneAndNotTheOtherWayRound) {
  const Layout narrow({{"count", 4}});
  const Layout wide({{"count", 8}});
  EXPECT_EQ(copied(plan_copy(narrow.ref(), wide.ref()), "1234", 8), "1234....");
  EXPECT_THAT(plan_copy(narrow.ref(), wide.ref()).lost, IsEmpty());
  EXPECT_THAT(plan_copy(wide.ref(), narrow.ref()).lost, ElementsAre("count"));
  EXPECT_THAT(plan_copy(wide.ref(), narrow.ref()).moves, IsEmpty());
}

TEST(ValueCopyTest, ArraysGoElementByElement) {
  const Layout from({{"list", 2, 3}, {"x", 2}});
  const Layout longer({{"list", 2, 4}, {"x", 2}});
  const Layout wider({{"list", 4, 3}, {"x", 2}});
  EXPECT_EQ(copied(plan_copy(from.ref(), longer.ref()), "aabbccXX", 10), "aabbcc..XX");
  EXPECT_EQ(copied(plan_copy(from.ref(), wider.ref()), "aabbccXX", 14), "aa..bb..cc..XX");
  EXPECT_EQ(copied(plan_copy(longer.ref(), from.ref()), "aabbccddXX", 8), "aabbccXX");
  EXPECT_THAT(plan_copy(longer.ref(), from.ref()).lost, ElementsAre("list[3...]"));
}

TEST(ValueCopyTest, AnotherKindIsNotTakenOver) {
  const Layout from({{"key", 4}});
  const Layout to({{"key", 1, 4}});
  EXPECT_THAT(plan_copy(from.ref(), to.ref()).lost, ElementsAre("key"));
}

}  // namespace
}  // namespace mailweir
