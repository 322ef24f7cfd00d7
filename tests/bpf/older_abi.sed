# Makes of bpf/abi.h the contract of a mailweir that never was: members in another order, one that
# is missing, one that is narrower. The program is the same; only its maps look otherwise.
s/^#define MW_ASSERT(condition, why) .*/#define MW_ASSERT(condition, why) struct mw_unused/
/^struct mw_block {/,/^}/ {
  /until_ns/d
  /reason;/ a\
	__u64 until_ns;
}
/^struct mw_settings {/,/^}/ {
  /layout_hash;/d
  /frozen_until_ns;/ a\
	__u64 layout_hash;\
	__u64 of_old_only;
}
