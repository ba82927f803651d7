// Reads a TOML 1.0 text into a flat list of nodes that keep their place in the text.
#ifndef CTOML_H
#define CTOML_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ctoml_kind {
  CTOML_TABLE,
  CTOML_ARRAY,
  CTOML_STRING,
  CTOML_INTEGER,
  CTOML_NUMBER,
  CTOML_BOOLEAN,
  /// A date, a time or both; its value is not passed on.
  CTOML_DATE_TIME,
};

/// Line and column count from 1; a column counts Unicode code points, a tab is one.
struct ctoml_position {
  uint32_t line, column;
};

/// UTF-8, not terminated, may contain NUL; owned by the document.
struct ctoml_text {
  const char *bytes;
  size_t length;
};

struct ctoml_node {
  enum ctoml_kind kind;
  struct ctoml_position position;
  /// For members of a table, else empty and 0.
  struct ctoml_text key;
  struct ctoml_position key_position;
  /// CTOML_TABLE, CTOML_ARRAY: how many children follow, each before its own children. A table's
  /// are in the order in which the text first names them.
  size_t children;
  struct ctoml_text text;  // CTOML_STRING
  int64_t integer;         // CTOML_INTEGER; CTOML_BOOLEAN: 0 or 1
  double number;           // CTOML_NUMBER
};

struct ctoml_document;

/// Parses `length` bytes at `text`, which need not outlive the call. Returns a document, of a
/// malformed text too; never NULL, since running out of memory ends the process. Free it with
/// ctoml_free. Nesting is bounded, so that no text can exhaust the stack.
struct ctoml_document *ctoml_parse(const char *text, size_t length);

/// The nodes in preorder, the root table first; of a malformed text NULL, with `*count` 0.
const struct ctoml_node *ctoml_nodes(const struct ctoml_document *document, size_t *count);

/// What is malformed, and where; of a well-formed text an empty text.
struct ctoml_text ctoml_error(
  const struct ctoml_document *document, struct ctoml_position *position);

void ctoml_free(struct ctoml_document *document);

#ifdef __cplusplus
}
#endif
#endif
