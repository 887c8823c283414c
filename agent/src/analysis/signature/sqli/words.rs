//! Words of SQL dialects, by what they do in a statement.

/// What a word is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Union,
    Select,
    /// `and`, `or`, `xor`, `div`, …: joins conditions.
    Logic,
    Not,
    /// `like`, `in`, `between`, `is`, …: compares.
    Compare,
    /// `order`, `group`.
    Ordering,
    By,
    Having,
    Where,
    From,
    Limit,
    /// `null`, `true`, `false`: a value.
    Constant,
    /// `all`, `distinct`.
    Quantity,
    Case,
    When,
    Then,
    Procedure,
    Into,
    /// Begins a statement.
    Statement,
    /// What statements are about: `table`, `database`, `into`, …
    Object,
    /// A function, or something like one, that applications do not take from callers.
    Exploit,
    /// An object of the catalogue: table names, version, …
    Catalogue,
    /// Any function that injections use and applications may.
    Function,
    /// Anything else.
    Name,
}

/// What a word (in lower case) is for.
pub(super) fn word(word: &[u8]) -> Word {
    match word {
        b"union" | b"intersect" | b"except" | b"minus" => Word::Union,
        b"select" => Word::Select,
        b"and" | b"or" | b"xor" | b"div" => Word::Logic,
        b"not" => Word::Not,
        b"like" | b"rlike" | b"ilike" | b"regexp" | b"in" | b"between" | b"is" | b"glob" | b"similar"
        | b"sounds" | b"match" | b"notnull" | b"isnull" | b"collate" => Word::Compare,
        b"order" | b"group" => Word::Ordering,
        b"by" => Word::By,
        b"having" => Word::Having,
        b"where" => Word::Where,
        b"from" => Word::From,
        b"limit" | b"offset" => Word::Limit,
        b"null" | b"true" | b"false" => Word::Constant,
        b"all" | b"distinct" | b"distinctrow" => Word::Quantity,
        b"case" => Word::Case,
        b"when" => Word::When,
        b"then" => Word::Then,
        b"procedure" => Word::Procedure,
        b"into" => Word::Into,
        b"insert" | b"update" | b"delete" | b"drop" | b"create" | b"alter" | b"truncate" | b"exec"
        | b"execute" | b"declare" | b"waitfor" | b"shutdown" | b"begin" | b"call" | b"copy" | b"merge"
        | b"replace" | b"grant" | b"revoke" | b"attach" | b"handler" | b"load" | b"rename" | b"vacuum"
        | b"set" => Word::Statement,
        b"table" | b"database" | b"schema" | b"view" | b"index" | b"user" | b"role" | b"trigger"
        | b"delay" | b"time" | b"immediate" | b"data" | b"login" => Word::Object,
        b"sleep"
        | b"benchmark"
        | b"pg_sleep"
        | b"load_file"
        | b"extractvalue"
        | b"updatexml"
        | b"randomblob"
        | b"regexp_substring"
        | b"crypt_key"
        | b"xp_cmdshell"
        | b"xp_dirtree"
        | b"xp_regread"
        | b"xp_fileexist"
        | b"sp_executesql"
        | b"sp_password"
        | b"sp_makewebtask"
        | b"sp_oacreate"
        | b"dbms_pipe"
        | b"dbms_lock"
        | b"dbms_utility"
        | b"utl_inaddr"
        | b"utl_http"
        | b"utl_file"
        | b"ctxsys"
        | b"xmltype"
        | b"httpuritype"
        | b"make_set"
        | b"elt"
        | b"row_count"
        | b"generate_series"
        | b"pg_read_file"
        | b"pg_ls_dir"
        | b"lo_import"
        | b"lo_export"
        | b"lo_get"
        | b"lo_put"
        | b"lo_create"
        | b"lo_unlink"
        | b"lo_from_bytea"
        | b"pg_read_binary_file"
        | b"pg_stat_file"
        | b"pg_sleep_for"
        | b"pg_logdir_ls"
        | b"dblink_connect"
        | b"sysdate"
        | b"name_const"
        | b"gtid_subset"
        | b"polygon"
        | b"exp"
        | b"sqlite_version"
        | b"load_extension"
        | b"fn_varbintohexstr"
        | b"openrowset"
        | b"openquery"
        | b"opendatasource"
        | b"json_keys"
        | b"st_latfromgeohash"
        | b"get_host_address"
        | b"domain_sid"
        | b"system_user"
        | b"session_user"
        | b"analyse"
        | b"sqlvarbasetostr"
        | b"quote_ident" => Word::Exploit,
        b"information_schema"
        | b"sysobjects"
        | b"syscolumns"
        | b"sysusers"
        | b"sysdatabases"
        | b"sqlite_master"
        | b"sqlite_schema"
        | b"pg_catalog"
        | b"pg_shadow"
        | b"pg_tables"
        | b"pg_user"
        | b"all_tables"
        | b"user_tables"
        | b"all_users"
        | b"msysobjects"
        | b"msysaces"
        | b"rdb$fields"
        | b"rdb$database"
        | b"rdb$functions"
        | b"rdb$collations"
        | b"rdb$types"
        | b"sysibm"
        | b"mysql.user"
        | b"user_tab_columns"
        | b"user_constraints"
        | b"all_objects"
        | b"v$version"
        | b"@@version"
        | b"@@datadir"
        | b"@@hostname"
        | b"@@servername"
        | b"@@global"
        | b"domain.domains"
        | b"domain.columns"
        | b"sysmaster" => Word::Catalogue,
        b"char" | b"chr" | b"concat" | b"concat_ws" | b"group_concat" | b"ascii" | b"substring"
        | b"substr" | b"mid" | b"left" | b"right" | b"length" | b"len" | b"version" | b"count" | b"md5"
        | b"sha1" | b"hex" | b"unhex" | b"if" | b"iif" | b"ifnull" | b"nullif" | b"coalesce" | b"cast"
        | b"convert" | b"floor" | b"rand" | b"ord" | b"now" | b"upper" | b"lower" | b"repeat" | b"row"
        | b"min" | b"max" | b"exists" | b"current_user" | b"current_database" | b"decode" | b"conv"
        | b"bin" | b"json_depth" | b"to_char" | b"db_name" | b"strcmp" | b"greatest" | b"least"
        | b"field" | b"instr" | b"locate" | b"position" | b"reverse" | b"trim" | b"abs" | b"sqrt"
        | b"sum" | b"avg" | b"uuid" | b"string_agg" | b"json_extract" | b"json_value" | b"json_contains"
        | b"xmlelement" | b"xpath" | b"to_number" | b"chr2" => Word::Function,
        _ => Word::Name,
    }
}
