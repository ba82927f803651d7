/*
 * make ends with status 2 whatever the status of the recipe that failed, and says so on standard error.
 * `make lab CMD=…` promises the command's own status and output, so this function of make's lets the lab
 * take make's place: $(run-lab PROGRAM) executes PROGRAM with the text of CMD and the LAB_ variables.
 * It returns, with nothing, only if that fails; the recipe then runs the lab the ordinary way.
 * See "Loading Dynamic Objects" in make's manual.
 */
#include <gnumake.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int plugin_is_GPL_compatible;

static const char *const handed_on[][2] = {
    {"LAB", "$(value LAB)"},
    {"LAB_KERNEL", "$(value LAB_KERNEL)"},
    {"LAB_KIND", "$(value LAB_KIND)"},
    {"LAB_TIMEOUT", "$(value LAB_TIMEOUT)"},
    {"LAB_MEMORY", "$(value LAB_MEMORY)"},
    {"LAB_CPUS", "$(value LAB_CPUS)"},
    {"LAB_WRITABLE", "$(value LAB_WRITABLE)"},
    {"LAB_SLICED", "$(value LAB_SLICED)"},
};

static char *run_lab(const char *name, unsigned int argc, char **argv) {
  (void)name;
  (void)argc;
  char *command = gmk_expand("$(value CMD)");
  for (size_t i = 0; i < sizeof handed_on / sizeof handed_on[0]; i++) {
    char *value = gmk_expand(handed_on[i][1]);
    if (*value != '\0') setenv(handed_on[i][0], value, 1);
    gmk_free(value);
  }
  /* make blocks signals around its children; a new program would inherit that. */
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execl(argv[0], argv[0], command, (char *)NULL);
  gmk_free(command);
  return NULL;
}

int make_lab_setup(const gmk_floc *location) {
  (void)location;
  gmk_add_function("run-lab", run_lab, 1, 1, GMK_FUNC_DEFAULT);
  return 1;
}
