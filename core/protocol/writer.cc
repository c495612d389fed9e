#include "core/protocol/writer.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace nearlane::protocol {

namespace {

constexpr std::string_view kEnd = "\r\n";

template <class Integer>
void append_header(std::string& out, char type, Integer value) {
  std::array<char, 24> text;  // a type, a sign, 19 or 20 digits, CR and LF
  text.front() = type;
  char* end = std::to_chars(text.data() + 1, text.data() + text.size() - 2, value).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(text.data(), static_cast<std::size_t>(end - text.data()));
}

void append_line(std::string& out, char type, std::string_view text) {
  out.push_back(type);
  const std::size_t start = out.size();
  out.append(text);
  const auto breaks = [](char c) { return c == '\r' || c == '\n'; };
  std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), breaks, ' ');
  out.append(kEnd);
}

void append_blob(std::string& out, char type, std::string_view bytes) {
  append_header(out, type, bytes.size());
  out.append(bytes);
  out.append(kEnd);
}

template <class Args>
void append_args(std::string& out, const Args& args) {
  std::size_t bytes = out.size() + 24;
  for (const std::string_view arg : args) bytes += arg.size() + 24;
  // Growing by half at least keeps a long pipeline linear, which an exact reserve would not.
  if (bytes > out.capacity()) out.reserve(std::max(bytes, out.capacity() + out.capacity() / 2));
  append_header(out, '*', args.size());
  for (const std::string_view arg : args) append_blob(out, '$', arg);
}

void append_elements(std::string& out, const Reply& reply, Version version) {
  for (const Reply& element : reply.elements) append_reply(out, element, version);
}

}  // namespace

void append_command(std::string& out, std::initializer_list<std::string_view> args) {
  append_args(out, args);
}
void append_command(std::string& out, std::span<const std::string_view> args) {
  append_args(out, args);
}
void append_command(std::string& out, std::span<const std::string> args) { append_args(out, args); }

void append_simple(std::string& out, std::string_view text) { append_line(out, '+', text); }
void append_error(std::string& out, std::string_view text) { append_line(out, '-', text); }
void append_integer(std::string& out, std::int64_t value) { append_header(out, ':', value); }
void append_bulk(std::string& out, std::string_view bytes) { append_blob(out, '$', bytes); }

void append_null(std::string& out, Version version) {
  out.append(version == Version::resp3 ? "_\r\n" : "$-1\r\n");
}

void append_null_array(std::string& out, Version version) {
  out.append(version == Version::resp3 ? "_\r\n" : "*-1\r\n");
}

void append_array_header(std::string& out, std::size_t count) { append_header(out, '*', count); }

void append_map_header(std::string& out, std::size_t pairs, Version version) {
  if (version == Version::resp3) {
    append_header(out, '%', pairs);
  } else {
    append_header(out, '*', pairs * 2);
  }
}

void append_push_header(std::string& out, std::size_t count, Version version) {
  append_header(out, version == Version::resp3 ? '>' : '*', count);
}

void append_reply(std::string& out, const Reply& reply, Version version) {
  const bool resp3 = version == Version::resp3;
  switch (reply.type) {
    case Type::null:
      return append_null(out, version);
    case Type::simple_string:
      return append_simple(out, reply.text);
    case Type::error:
      return append_error(out, reply.text);
    case Type::integer:
      return append_integer(out, reply.integer);
    case Type::bulk_string:
      return append_bulk(out, reply.text);
    case Type::array:
      append_array_header(out, reply.elements.size());
      return append_elements(out, reply, version);
    case Type::map:
      append_map_header(out, reply.elements.size() / 2, version);
      return append_elements(out, reply, version);
    case Type::set:
      append_header(out, resp3 ? '~' : '*', reply.elements.size());
      return append_elements(out, reply, version);
    case Type::push:
      append_push_header(out, reply.elements.size(), version);
      return append_elements(out, reply, version);
    case Type::boolean:
      if (!resp3) return append_integer(out, reply.integer);
      out.append(reply.integer != 0 ? "#t\r\n" : "#f\r\n");
      return;
    case Type::number:
      return resp3 ? append_line(out, ',', reply.text) : append_bulk(out, reply.text);
    case Type::big_number:
      return resp3 ? append_line(out, '(', reply.text) : append_bulk(out, reply.text);
    case Type::verbatim:
      if (resp3) return append_blob(out, '=', reply.text);
      return append_bulk(
          out, std::string_view(reply.text).substr(std::min<std::size_t>(4, reply.text.size())));
  }
}

}  // namespace nearlane::protocol
