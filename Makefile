# rsntpd: the targets. `make' lists them.

PREFIX  = /usr
DESTDIR =
ARGS    =
# What is fuzzed, and for how many seconds each.
TARGETS = $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
FUZZ    = $(TARGETS)
TIME    = 600

# The scripts look for the programs here, whatever the environment says.
export CARGO_TARGET_DIR := $(CURDIR)/target
CARGO   = cargo
# Where a test reports what it lacks, if it cannot run here.
SKIPPED = $(CARGO_TARGET_DIR)/skipped
BUILT   = target/release
MANUALS = $(wildcard docs/man/*.[1-8])
# The other names of rsntpq, but for rsntpstat, which everybody has in the path.
COMPANIONS = rsntpdate rsntp-wait rsntp-keygen rsntptime rsntptrace
SBIN    = $(DESTDIR)$(PREFIX)/sbin
BIN     = $(DESTDIR)$(PREFIX)/bin
SHARE   = $(DESTDIR)$(PREFIX)/share/rsntpd
UNITS   = $(DESTDIR)$(PREFIX)/lib/systemd/system
MAN     = $(DESTDIR)$(PREFIX)/share/man
DOC     = $(DESTDIR)$(PREFIX)/share/doc/rsntpd

# Simulated worlds that take minutes, modules of tests/engine; and a fuzzer's work for two minutes, of tests/fuzz.
LONG    = jumps worlds honesty likes

# Runs the tests but those that its argument skips, and shows once more what was skipped because this machine lacks it.
define cargo_test
@rm -f $(SKIPPED)
SKIPPED=$(SKIPPED) $(CARGO) test --locked $(1)
@! test -s $(SKIPPED) || { echo "cargo test: $$(wc -l < $(SKIPPED)) skipped:"; cat $(SKIPPED); }
endef

# What the tests of the association modes measure in the simulator: each world's figures for five seeds, and the limit.
MODES   = partners bursts orphans listeners pools manycast smear
define modes
@mkdir -p target
@$(CARGO) test --locked --test engine -- --nocapture --test-threads 1 $(MODES:%=%::) > target/modes.txt 2>&1; status=$$?; \
	sed 's/^test \([a-z_0-9:]*\) \.\.\. /\1\n/' target/modes.txt | grep -E ', limit |^[a-z]+::|^test result'; exit $$status
endef

.PHONY: help setup build demo check check-fast fmt accuracy bench fuzz static rpm srpm repo install install-redhat clean

help: ## list these targets
	@echo "usage: make TARGET"
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1|/p' Makefile | awk -F'|' '{printf "%-11s %s\n", $$1, $$2}'

setup: ## install what this machine lacks for all the others (`make demo' and `make check' do it themselves)
	tests/system/setup.sh

build: ## build the daemon and its companions: target/release/rsntpd, target/release/rsntpq
	$(CARGO) build --release --locked

demo: ## run rsntpd in a network of its own and show it, in less than a minute (needs root)
	@tests/system/world/demo.sh --allowed
	@tests/system/setup.sh demo
	@tests/system/world/demo.sh --ready
	@if command -v $(CARGO) > /dev/null; then echo "$(CARGO) build --release --locked"; \
	$(CARGO) build --release --locked; else echo "(no cargo here: showing $(BUILT)/rsntpd as it is)"; fi
	@tests/system/world/demo.sh

check: ## run every test: formatting, lints, documentation, cargo tests, world and guest scripts
	@tests/system/setup.sh check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
	$(call cargo_test)
	# Side by side: the end of each build keeps one processor busy, and the package's tests wait.
	$(CARGO) build --release --locked & build=$$!; tests/package/run.sh; package=$$?; wait $$build && exit $$package
	tests/system/world/run

check-fast: ## what changes while one works, in three minutes: format, lints, tests; no long simulations, worlds, guests, packages
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(call cargo_test,-- $(LONG:%=--skip %::))

fmt: ## format the source
	$(CARGO) fmt --all

accuracy: ## print the accuracy table (simulator); ARGS="--plot DIR", "--worlds", "--modes" or "lan bad --seeds 3"
	$(if $(filter --modes,$(ARGS)),$(call modes),$(CARGO) bench --locked --bench accuracy -- $(ARGS))

bench: build ## how fast we serve, beside chronyd, NTPsec and OpenNTPD (root); ARGS="--rounds 1" for less
	tests/system/peers.sh
	$(CARGO) bench --locked --bench parts
	$(CARGO) bench --locked --bench serve -- $(ARGS)

fuzz: ## fuzz all targets, ten minutes each (cargo-fuzz, nightly Rust); FUZZ=engine for one of them, TIME=60 for a minute
	@$(CARGO) +nightly fuzz --version > /dev/null 2>&1 || { echo "make fuzz needs nightly Rust and cargo-fuzz:"; \
	echo "  rustup toolchain install nightly --profile minimal && cargo install cargo-fuzz --locked"; exit 1; }
	@for each in $(FUZZ); do \
	test -f fuzz/fuzz_targets/$$each.rs || { echo "make fuzz: there is no $$each; FUZZ= takes $(TARGETS)"; exit 1; }; \
	mkdir -p fuzz/corpus/$$each; echo "cargo +nightly fuzz run $$each, $(TIME) s"; \
	$(CARGO) +nightly fuzz run -s none $$each fuzz/corpus/$$each fuzz/seeds/$$each -- -max_total_time=$(TIME) || exit 1; done

static: ## build static programs for all Linux since 2.6.32: target/static (Debian 12; root for apt-get)
	rpm/static.sh

rpm: static ## build the packages for CentOS 6 to Stream 10: target/rpm
	rpm/build.sh rpm

srpm: ## build the source package, which builds offline on CentOS: target/rpm
	rpm/build.sh srpm

repo: rpm ## make a yum repository of them: target/rpm/repo
	rpm/build.sh repo

install: ## install what `make build' built; DESTDIR= PREFIX=/usr BUILT=target/release. An ntp.conf that is there stays
	@for file in $(BUILT)/rsntpd $(BUILT)/rsntpq; do \
	test -x $$file || { echo "install: there is no $$file; run 'make build' first"; exit 1; }; done
	install -d $(SBIN) $(BIN) $(DOC)/examples $(SHARE)/selinux $(UNITS)
	install -m 755 $(BUILT)/rsntpd $(BUILT)/rsntpq $(SBIN)
	for name in $(COMPANIONS); do ln -sf rsntpq $(SBIN)/$$name; done
	ln -sf ../sbin/rsntpq $(BIN)/rsntpstat
	for page in $(MANUALS); do install -D -m 644 $$page $(MAN)/man$${page##*.}/$${page##*/}; done
	install -m 644 README.md CHANGELOG.md LICENSE LICENSE-MIT LICENSE-APACHE docs/*.md $(DOC)
	install -m 644 docs/rsntpq.schema.json docs/grafana.json $(DOC)
	install -m 644 conf/*.conf conf/examples/*.conf $(DOC)/examples
	install -m 644 conf/ntp.conf conf/etc-ntp/keys conf/etc-ntp/step-tickers conf/etc-ntp/crypto-pw $(SHARE)
	install -m 644 conf/selinux/README.md conf/selinux/rsntpd.te $(SHARE)/selinux
	install -m 755 conf/selinux/label.sh $(SHARE)/selinux
	install -m 644 conf/systemd/rsntpd.service conf/systemd/rsntpd-restricted.service conf/systemd/rsntp-wait.service $(UNITS)
	sed -i -e 's#/usr/sbin/#$(PREFIX)/sbin/#' -e '/init.d/d' $(UNITS)/rsntpd.service $(UNITS)/rsntpd-restricted.service $(UNITS)/rsntp-wait.service
	install -d $(DESTDIR)/etc $(DESTDIR)/var/lib/ntp
	@if [ -e $(DESTDIR)/etc/ntp.conf ]; then echo "$(DESTDIR)/etc/ntp.conf is there already and stays as it is"; \
	else echo "install -m 644 conf/ntp.conf $(DESTDIR)/etc/ntp.conf"; \
	install -m 644 conf/ntp.conf $(DESTDIR)/etc/ntp.conf; fi
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ] && id ntp > /dev/null 2>&1; then \
	echo "chown ntp /var/lib/ntp"; chown ntp /var/lib/ntp; fi

install-redhat: # what Red Hat's systems have beside that, for the package: init scripts, sysconfig, hooks, the names of ntp
	install -d $(DESTDIR)/etc/rc.d/init.d $(DESTDIR)/etc/sysconfig $(DESTDIR)/etc/dhcp/dhclient.d $(DESTDIR)/etc/logrotate.d
	install -d $(DESTDIR)/etc/ntp/crypto $(DESTDIR)/var/lib/ntp $(DESTDIR)/var/log/ntpstats $(UNITS)/../ntp-units.d
	install -m 755 init.d/* $(DESTDIR)/etc/rc.d/init.d
	install -m 644 conf/sysconfig/* $(DESTDIR)/etc/sysconfig
	install -m 755 conf/dhclient.sh $(DESTDIR)/etc/dhcp/dhclient.d/rsntpd.sh
	install -m 644 conf/logrotate $(DESTDIR)/etc/logrotate.d/rsntpd
	install -m 644 conf/systemd/*.service $(UNITS)
	install -m 644 conf/systemd/*.list $(UNITS)/../ntp-units.d
	install -D -m 644 conf/sysusers/rsntpd.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/rsntpd.conf
	install -D -m 644 conf/tmpfiles/rsntpd.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/rsntpd.conf
	install -m 755 rpm/names rpm/services $(SHARE)
	ln -sf rsntpd $(SBIN)/ntpd
	touch $(DESTDIR)/etc/ntp.conf $(DESTDIR)/etc/ntp/keys $(DESTDIR)/etc/ntp/step-tickers $(DESTDIR)/etc/ntp/crypto/pw
	touch $(DESTDIR)/var/lib/ntp/drift

clean: ## remove what was built (not .peers and .guest, which hold downloaded programs)
	$(CARGO) clean
