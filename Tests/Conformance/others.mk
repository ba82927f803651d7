# The isolation suite on other runtimes; included by the Makefile. What came of it: Docs/conformance-others.md.

# Debian packages, that nothing else of the project needs.
OTHER_RUNTIMES := bubblewrap systemd-container runc crun lxc firejail python3

## make conformance-others: the suite's attacks in containers of other runtimes, in the lab; one table
.PHONY: conformance-others
conformance-others: build
	$(call install_packages,$(OTHER_RUNTIMES) $(LAB_PACKAGES))
	@exec Tests/Conformance/others $(RUNTIMES)
