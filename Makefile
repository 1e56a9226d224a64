# rsntpd: what one does with it by hand. `make' lists it.

PREFIX  = /usr
DESTDIR =
ARGS    =
FUZZ    = config

# The scripts look for the programs here, whatever the environment says.
export CARGO_TARGET_DIR := $(CURDIR)/target
CARGO   = cargo
BINARY  = target/release/rsntpd
MANUALS = $(wildcard docs/man/*.8)
FORMATS = $(wildcard docs/man/*.5)
SBIN    = $(DESTDIR)$(PREFIX)/sbin
MAN8    = $(DESTDIR)$(PREFIX)/share/man/man8
MAN5    = $(DESTDIR)$(PREFIX)/share/man/man5
DOC     = $(DESTDIR)$(PREFIX)/share/doc/rsntpd

.PHONY: help setup build demo check fmt accuracy bench fuzz install clean

help: ## list these targets
	@echo "usage: make TARGET"
	@sed -n 's/^\([a-z]*\):[^#]*## /  \1|/p' Makefile | awk -F'|' '{printf "%-10s %s\n", $$1, $$2}'

setup: ## install what this machine lacks for all the others (apt-get; needs root)
	tests/setup.sh

build: ## build the daemon: target/release/rsntpd
	$(CARGO) build --release --locked

demo: ## watch rsntpd at work in a network of its own, in less than a minute (needs root)
	@tests/world/demo.sh --ready
	@if command -v $(CARGO) > /dev/null; then echo "$(CARGO) build --release --locked"; \
	$(CARGO) build --release --locked; else echo "(no cargo here: showing $(BINARY) as it is)"; fi
	@tests/world/demo.sh

check: ## run every test: formatting, lints, documentation, cargo tests, world and guest scripts
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
	$(CARGO) test --locked
	$(CARGO) build --release --locked
	tests/world/run

fmt: ## format the source
	$(CARGO) fmt

accuracy: ## print the accuracy table (simulator); ARGS="lan bad --seeds 3" for a part of it
	$(CARGO) bench --locked --bench accuracy -- $(ARGS)

bench: build ## how fast we serve, beside chronyd, NTPsec and OpenNTPD (5 minutes; root); ARGS="--rounds 1" for less
	tests/peers.sh
	$(CARGO) bench --locked --bench parts
	$(CARGO) bench --locked --bench serve -- $(ARGS)

fuzz: ## fuzz the parser for ten minutes (cargo-fuzz and nightly Rust); FUZZ=control for mode 6
	@mkdir -p fuzz/corpus/$(FUZZ)
	$(CARGO) +nightly fuzz run $(FUZZ) fuzz/corpus/$(FUZZ) $(wildcard fuzz/seeds/$(FUZZ)) -- -max_total_time=600

install: ## install what `make build' built; DESTDIR= PREFIX=/usr. An ntp.conf that is there stays
	@test -x $(BINARY) || { echo "install: there is no $(BINARY); run 'make build' first"; exit 1; }
	install -d $(SBIN) $(MAN8) $(MAN5) $(DOC)/examples $(DESTDIR)/etc $(DESTDIR)/var/lib/ntp
	install -m 755 $(BINARY) $(SBIN)/rsntpd
	install -m 644 $(MANUALS) $(MAN8)
	install -m 644 $(FORMATS) $(MAN5)
	install -m 644 README.md CHANGELOG.md LICENSE LICENSE-MIT LICENSE-APACHE docs/differences.md $(DOC)
	install -m 644 conf/*.conf $(DOC)/examples
	@if [ -e $(DESTDIR)/etc/ntp.conf ]; then echo "$(DESTDIR)/etc/ntp.conf is there already and stays as it is"; \
	else echo "install -m 644 conf/ntp.conf $(DESTDIR)/etc/ntp.conf"; \
	install -m 644 conf/ntp.conf $(DESTDIR)/etc/ntp.conf; fi
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ] && id ntp > /dev/null 2>&1; then \
	echo "chown ntp /var/lib/ntp"; chown ntp /var/lib/ntp; fi

clean: ## remove what was built (not .peers and .guest, which hold downloaded programs)
	$(CARGO) clean
