"""Filters and orders: right ones in every form of MLflow's grammar, and wrong ones in every way people and programs err."""

from hypothesis import strategies as st

WORDS = ("credit", "credit-default", "Credit", "1", "true", "it", "", "a_b", "50%", "ü", "x y", "a.b")
PATTERNS = ("credit%", "%", "_redit%", "CREDIT%", "%\\%", "", "a\\_b", "%é%", "C%T")
RUNS = ("a" * 32, "b" * 32)

_value = st.one_of(st.sampled_from(WORDS), st.sampled_from(PATTERNS), st.sampled_from(RUNS))
_text = st.one_of(
    _value.map(lambda text: f"'{text}'"),
    _value.map(lambda text: f'"{text}"'),
)
_odd_value = st.sampled_from(
    [
        *(
            "credit",
            "3",
            "3.5",
            "-1",
            "'3'",
            '"3"',
            "NULL",
            "true",
            "''",
            '""',
            "()",
            "('a', 1)",
            "(1)",
            "'a' 'b'",
            "'a",
        ),
        *('"a', "a'", "`a`", "'a\"", "('a' 'b')", "('a' 'b', 'c')", "('a',)", "(('a'))", "['a']", "(a)", "( )", "'a';"),
        *(
            "'(a, b)'",
            "\\'a\\'",
            "'a\\'",
            "name",
            "0x10",
            "1e3",
            "'\t'",
            "'a\nb'",
            "('a'",
            "'%s'",
            "'a--b'",
            "$1",
            "?",
            ":a",
        ),
    ]
)
_list = st.lists(_text, min_size=1, max_size=3).flatmap(
    lambda items: st.sampled_from([f"({', '.join(items)})", f"({','.join(items)})", f"( {' , '.join(items)} )"])
)
_number = st.sampled_from(
    ["1", "2", "3", "0", "10", "99", "-1", "'1'", "1.0", "'x'", "99999999999", "'1.5'", "01", "+1"]
)

_key = st.sampled_from(
    ["team", "tier", "`risk tier`", '"risk tier"', "`team`", '"team"', "a.b", "`a.b`", "mlflow.note"]
)
_tag = st.builds(lambda entity, key: f"{entity}.{key}", st.sampled_from(["tag", "tags"]), _key)
_prompt = st.sampled_from(["tags.`mlflow.prompt.is_prompt`", "tag.mlflow.prompt.is_prompt"])
_name = st.sampled_from(["name", "attribute.name"])
_run = st.sampled_from(["run_id", "attribute.run_id"])
_path = st.sampled_from(["source_path", "attribute.source_path"])
_version = st.sampled_from(["version_number", "attribute.version_number"])
_odd_name = st.sampled_from(
    [
        *("`name`", '"name"', "attribute.`name`", 'attribute."name"', "attributes.name", "attr.name", "Name", "NAME"),
        *("Attribute.name", "Tags.team", "TAG.team", "tag.", "tags", "param.x", "colour", "attribute.colour", "name.x"),
        *(
            "creation_timestamp",
            "last_updated_timestamp",
            "timestamp",
            "user_id",
            "status",
            "tag.`a`b`",
            "tags.``",
            "'name'",
        ),
        *(
            "tags.team.",
            "tags..team",
            "tags. team",
            "tags .team",
            "model.name",
            "`tags`.team",
            "date",
            "tag.date",
            "tag.order",
        ),
        *(
            "tags.é",
            "tags.1",
            "tags.a-b",
            "tags.`a-b`",
            "tags.a/b",
            "tags.`a'b`",
            "tags.key",
            "tag.end",
            "tags.user",
            "1",
        ),
    ]
)

_text_operator = st.sampled_from(["=", "!=", "LIKE", "ILIKE", "like", "ilike"])
_number_operator = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
_list_operator = st.sampled_from(["IN", "NOT IN", "in", "not in", "Not In", "NOT  IN"])
_odd_operator = st.sampled_from(
    [
        "<>",
        "==",
        "<",
        ">=",
        "NOT LIKE",
        "IS",
        "IS NOT",
        "~",
        "RLIKE",
        "",
        "=>",
        "!",
        "NOT",
        "IN",
        "NOT IN",
        "BETWEEN",
        "^=",
    ]
)
_space = st.sampled_from([" ", " ", " ", "  ", "", "\n", "\t"])


def _clause(
    names: st.SearchStrategy[str], operators: st.SearchStrategy[str], values: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    def spelt(name: str, operator: str, value: str, one: str, two: str) -> str:
        if operator[:1].isalpha():
            one = one or " "
            two = two or ("" if value[:1] in {"(", "'", '"'} else " ")
        return f"{name}{one}{operator}{two}{value}"

    return st.builds(spelt, names, operators, values, _space, _space)


_right_for_models = st.one_of(
    _clause(_name, _text_operator, _text),
    _clause(_tag, _text_operator, _text),
    _clause(_name, _list_operator, _list),
    _clause(_prompt, st.sampled_from(["=", "!="]), st.sampled_from(["'true'", "'false'", "'TRUE'", '"true"'])),
)
_right_for_versions = st.one_of(
    _right_for_models,
    _clause(_run, _text_operator, _text),
    _clause(_path, _text_operator, _text),
    _clause(_run, _list_operator, _list),
    _clause(_version, _number_operator, _number),
)
_everything = st.one_of(_name, _tag, _run, _path, _version, _odd_name)
_wrong = st.one_of(
    _clause(_odd_name, _text_operator, _text),
    _clause(_everything, st.one_of(_odd_operator, _list_operator, _number_operator), st.one_of(_text, _list, _number)),
    _clause(_everything, _text_operator, st.one_of(_odd_value, _number, _list)),
    st.sampled_from(
        ["AND", "name", "(name = 'a')", "name = 'a' OR name = 'b'", "NOT name = 'a'", "tags.a IS NULL", "'a' = name"]
    ),
)
_and = st.sampled_from([" AND ", " AND ", " and ", " And ", "  AND\n", " AND AND ", " ", ", ", " OR ", " && ", ";"])
_usual_and = st.sampled_from([" AND ", " and ", "\nAND "])
_end = st.sampled_from(
    ["", "", "", " ", ";", " ;", " AND", " -- x", "/* x */", " # x", ")", " LIMIT 1", "; name = 'b'"]
)


def _joined(
    clauses: st.SearchStrategy[str], ands: st.SearchStrategy[str], ends: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    def join(parts: list[str], gaps: list[str], end: str) -> str:
        found = parts[0]
        for part, gap in zip(parts[1:], gaps, strict=False):
            found += gap + part
        return found + end

    return st.builds(join, st.lists(clauses, min_size=1, max_size=3), st.lists(ands, min_size=2, max_size=2), ends)


_nothing = st.sampled_from(["", " ", "\n", ";", "--", "AND", "'", "`", '"', "(", ")", "\x00", "\u2028"])


def _language(right: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        _joined(right, _usual_and, st.just("")),
        _joined(right, _usual_and, st.just("")),
        _joined(st.one_of(right, _wrong), _and, _end),
        _nothing,
    )


model_filters = _language(_right_for_models)
version_filters = _language(_right_for_versions)

_order_keys = st.sampled_from(
    [
        "name",
        "timestamp",
        "last_updated_timestamp",
        "creation_timestamp",
        "version_number",
        "`name`",
        '"name"',
        "attribute.name",
    ]
)
_odd_orders = st.sampled_from(
    [
        *(
            "",
            " ",
            "name,",
            "name ASC DESC",
            "name UP",
            "name; name",
            "colour",
            "tags.team",
            "timestamp  DESC",
            "name\nDESC",
        ),
        *(
            "attributes.name",
            "`attribute`.name",
            "attribute.`name`",
            "attr.name DESC",
            "name desc;",
            " name",
            "name ",
            "NAME",
        ),
        *(
            "Name ASC",
            "last_updated_timestamp desc ",
            "order",
            "run_id",
            "source_path DESC",
            "'name'",
            "name, version_number",
        ),
        *(
            "metric.x",
            "timestamp_ms",
            "timestamp up",
            "name`",
            '"name',
            "a b c",
            "Timestamp",
            "TIMESTAMP ASC",
            "user_id",
        ),
        *('"timestamp" DESC', "`timestamp`", "timestamp ,", "attribute.timestamp", "name NULLS FIRST", "name -- x"),
        *(
            "last_updated",
            "version_number DESC",
            "attributes.version_number asc",
            "run.name",
            "`name` DESC",
            "`attribute.name`",
        ),
    ]
)
_orders = st.one_of(
    st.builds(
        lambda key, way: f"{key}{way}", _order_keys, st.sampled_from(["", " ASC", " DESC", " asc", " desc", " Desc"])
    ),
    _odd_orders,
)
orders = st.lists(_orders, max_size=3)
