/* SPDX-License-Identifier: Apache-2.0 */
/* From YANG's names and words to C's. */
#include "codegen.h"
#include <ctype.h>

#define COMMENT_COLUMNS 118

/* Of C17, and of what the headers that a cube includes define in lower case. */
static const char *const keywords[] = {
    "asm",   "auto",   "bool",     "break",  "case",     "char",   "const",    "continue", "default",
    "do",    "double", "else",     "enum",   "errno",    "extern", "false",    "float",    "for",
    "goto",  "if",     "inline",   "int",    "linux",    "long",   "register", "restrict", "return",
    "short", "signed", "sizeof",   "static", "struct",   "switch", "true",     "typedef",  "typeof",
    "union", "unix",   "unsigned", "void",   "volatile", "while",
};

void pcn_gen_print_id(FILE *out, const char *name)
{
    for (; *name; name++)
        fputc(isalnum((unsigned char)*name) ? *name : '_', out);
}

void pcn_gen_print_upper(FILE *out, const char *name)
{
    for (; *name; name++)
        fputc(isalnum((unsigned char)*name) ? toupper((unsigned char)*name) : '_', out);
}

void pcn_gen_print_member(FILE *out, const char *name)
{
    pcn_gen_print_id(out, name);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(keywords); i++)
        if (pcn_streq(name, keywords[i]))
            fputc('_', out);
}

/* Length of the next word; *ret_skip: blanks in front of it. */
static size_t next_word(const char *text, size_t *ret_skip)
{
    *ret_skip = strspn(text, " \t\r\n");
    return strcspn(text + *ret_skip, " \t\r\n");
}

/* A description may hold what ends, or opens, a comment. */
static void print_word(FILE *out, const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        fputc(word[i], out);
        if (i + 1 < length && ((word[i] == '*' && word[i + 1] == '/') || (word[i] == '/' && word[i + 1] == '*')))
            fputc(' ', out);
    }
}

void pcn_gen_print_comment(FILE *out, unsigned int indent, const char *text)
{
    size_t skip, length, column = 0;
    bool many = strlen(text) + indent + 6 > COMMENT_COLUMNS;

    fprintf(out, "%*s/*", (int)indent, "");
    if (many)
        fprintf(out, "\n%*s *", (int)indent, "");
    column = indent + 2;
    while ((length = next_word(text, &skip)) > 0) {
        if (many && column + length + 1 > COMMENT_COLUMNS) {
            fprintf(out, "\n%*s *", (int)indent, "");
            column = indent + 2;
        }
        fputc(' ', out);
        print_word(out, text + skip, length);
        column += length + 1;
        text += skip + length;
    }
    if (many)
        fprintf(out, "\n%*s", (int)indent, "");
    fputs(" */\n", out);
}

static void print_unit_name(FILE *out, const struct pcn_gen *gen, const struct lysc_node *node)
{
    if (node == gen->cube) {
        fputs("root", out);
        return;
    }
    pcn_gen_print_path(out, gen, node, "_");
}

void pcn_gen_print_unit(FILE *out, const struct pcn_gen *gen, const struct lysc_node *node, bool upper)
{
    _cleanup_free_ char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);

    if (!memory)
        abort();
    print_unit_name(memory, gen, node);
    fclose(memory);
    (upper ? pcn_gen_print_upper : pcn_gen_print_id)(out, text);
}

/* ---- a type in words ---- */

static void print_parts(FILE *out, const struct lysc_range *range, bool is_unsigned)
{
    for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(range->parts); i++) {
        const struct lysc_range_part *part = &range->parts[i];

        fputs(i ? "|" : "", out);
        if (is_unsigned)
            fprintf(out, "%" PRIu64, part->min_u64);
        else
            fprintf(out, "%" PRId64, part->min_64);
        if (part->min_64 == part->max_64)
            continue;
        if (is_unsigned)
            fprintf(out, "..%" PRIu64, part->max_u64);
        else
            fprintf(out, "..%" PRId64, part->max_64);
    }
}

static void print_type(FILE *out, const struct lysc_type *type)
{
    static const char *const names[] = {
        [LY_TYPE_BINARY] = "base64",  [LY_TYPE_UINT8] = "uint8",       [LY_TYPE_UINT16] = "uint16",
        [LY_TYPE_UINT32] = "uint32",  [LY_TYPE_UINT64] = "uint64",     [LY_TYPE_STRING] = "string",
        [LY_TYPE_BITS] = "flags",     [LY_TYPE_BOOL] = "boolean",      [LY_TYPE_DEC64] = "decimal",
        [LY_TYPE_EMPTY] = "presence", [LY_TYPE_ENUM] = "one of",       [LY_TYPE_IDENT] = "identity",
        [LY_TYPE_INST] = "path",      [LY_TYPE_LEAFREF] = "reference", [LY_TYPE_UNION] = "",
        [LY_TYPE_INT8] = "int8",      [LY_TYPE_INT16] = "int16",       [LY_TYPE_INT32] = "int32",
        [LY_TYPE_INT64] = "int64",
    };
    const struct lysc_range *range = NULL;

    if (type->basetype == LY_TYPE_LEAFREF)
        type = ((const struct lysc_type_leafref *)type)->realtype;
    fputs(names[type->basetype] ? names[type->basetype] : "value", out);
    switch (type->basetype) {
    case LY_TYPE_UINT8:
    case LY_TYPE_UINT16:
    case LY_TYPE_UINT32:
    case LY_TYPE_UINT64:
    case LY_TYPE_INT8:
    case LY_TYPE_INT16:
    case LY_TYPE_INT32:
    case LY_TYPE_INT64:
        range = ((const struct lysc_type_num *)type)->range;
        break;
    case LY_TYPE_STRING:
        range = ((const struct lysc_type_str *)type)->length;
        break;
    default:
        break;
    }
    if (range) {
        fputs(type->basetype == LY_TYPE_STRING ? " of length " : " ", out);
        print_parts(out, range, type->basetype < LY_TYPE_INT8);
    }
}

static void print_type_members(FILE *out, const struct lysc_type *type)
{
    const struct lysc_type_enum *enumeration = (const struct lysc_type_enum *)type;
    const struct lysc_type_union *alternatives = (const struct lysc_type_union *)type;

    print_type(out, type);
    if (type->basetype == LY_TYPE_ENUM || type->basetype == LY_TYPE_BITS)
        for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(enumeration->enums); i++)
            fprintf(out, "%s %s", i ? "," : "", enumeration->enums[i].name);
    if (type->basetype == LY_TYPE_UNION)
        for (LY_ARRAY_COUNT_TYPE i = 0; i < LY_ARRAY_COUNT(alternatives->types); i++) {
            fputs(i ? " or " : "", out);
            print_type_members(out, alternatives->types[i]);
        }
}

void pcn_gen_print_type(FILE *out, const struct lysc_node *node)
{
    print_type_members(out, pcn_gen_type(node));
}
