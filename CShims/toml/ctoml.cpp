// toml++ behind a C interface. Its own tree is copied once into the flat list and dropped.
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// No key of ours needs more than an array of inline tables.
#define TOML_MAX_NESTED_VALUES 8
// A file's mistake must not become a failed assertion, nor, in an optimised build, undefined
// behaviour: "[[[" breaks a precondition that toml++ 3.3 asserts or assumes before it tests it and
// reports an error (fixed upstream by pull request 301). With NDEBUG it would assume.
#undef NDEBUG
#define TOML_ASSERT(condition) static_assert(true)

#include "ctoml.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

// Debian 12's toml++ 3.3 takes some letters (U+00A7 after a line's last backslash) to a place it
// calls unreachable, where the character is simply no white space (upstream issues 190 and 295).
// Later versions name their headers .hpp and are left alone.
#if __has_include(<toml++/impl/unicode.h>)
#include <toml++/impl/forward_declarations.h>
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE return false
#include <toml++/impl/unicode.h>
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE __builtin_unreachable()
#endif
#include <toml++/toml.h>

struct ctoml_document {
  toml::table root;
  std::vector<ctoml_node> nodes;
  std::string error;
  ctoml_position error_position{};
};

namespace {

// toml++ bounds nested values but not dotted keys, and frees a tree by recursion: a key of half a
// million dots would overflow the stack. A dotted key is on one line, so a line's dots bound it.
constexpr uint32_t maximum_dots_per_line = 256;

ctoml_position position(const toml::source_position &place) { return {place.line, place.column}; }

ctoml_text text(std::string_view view) { return {view.data(), view.size()}; }

// Line number of the first line with too many dots; 0 if there is none.
uint32_t overlong_line(std::string_view source) {
  uint32_t line = 1, dots = 0;
  for (char byte : source) {
    if (byte == '\n') {
      line++;
      dots = 0;
    } else if (byte == '.' && ++dots > maximum_dots_per_line) {
      return line;
    }
  }
  return 0;
}

void append(std::vector<ctoml_node> &nodes, const toml::node &value, const toml::key *key);

void append_members(std::vector<ctoml_node> &nodes, const toml::table &table) {
  using member = std::pair<const toml::key *, const toml::node *>;
  std::vector<member> members;
  for (auto &&[key, value] : table) members.emplace_back(&key, &value);
  std::sort(members.begin(), members.end(), [](const member &left, const member &right) {
    return left.first->source().begin < right.first->source().begin;
  });
  for (auto [key, value] : members) append(nodes, *value, key);
}

void append(std::vector<ctoml_node> &nodes, const toml::node &value, const toml::key *key) {
  ctoml_node node{};
  node.position = position(value.source().begin);
  if (key) {
    node.key = text(key->str());
    node.key_position = position(key->source().begin);
  }
  if (auto table = value.as_table()) {
    node.kind = CTOML_TABLE;
    node.children = table->size();
    nodes.push_back(node);
    append_members(nodes, *table);
    return;
  }
  if (auto array = value.as_array()) {
    node.kind = CTOML_ARRAY;
    node.children = array->size();
    nodes.push_back(node);
    for (auto &&element : *array) append(nodes, element, nullptr);
    return;
  }
  if (auto string = value.as_string()) {
    node.kind = CTOML_STRING;
    node.text = text(string->get());
  } else if (auto integer = value.as_integer()) {
    node.kind = CTOML_INTEGER;
    node.integer = integer->get();
  } else if (auto number = value.as_floating_point()) {
    node.kind = CTOML_NUMBER;
    node.number = number->get();
  } else if (auto boolean = value.as_boolean()) {
    node.kind = CTOML_BOOLEAN;
    node.integer = boolean->get();
  } else {
    node.kind = CTOML_DATE_TIME;
  }
  nodes.push_back(node);
}

}  // namespace

ctoml_document *ctoml_parse(const char *bytes, size_t length) {
  auto document = new ctoml_document;
  std::string_view source(bytes, length);
  if (uint32_t line = overlong_line(source)) {
    document->error = "the line has more than 256 dots";
    document->error_position = {line, 1};
    return document;
  }
  toml::parse_result result = toml::parse(source);
  if (result.failed()) {
    document->error = result.error().description();
    document->error_position = position(result.error().source().begin);
    return document;
  }
  document->root = std::move(result).table();
  append(document->nodes, document->root, nullptr);
  return document;
}

const ctoml_node *ctoml_nodes(const ctoml_document *document, size_t *count) {
  *count = document->nodes.size();
  return document->nodes.empty() ? nullptr : document->nodes.data();
}

ctoml_text ctoml_error(const ctoml_document *document, ctoml_position *position) {
  *position = document->error_position;
  return text(document->error);
}

void ctoml_free(ctoml_document *document) { delete document; }
