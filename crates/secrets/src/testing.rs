//! Tables in documents: checked, or written anew with `UPDATE_DOCS=1`.

use std::path::Path;

/// Compares what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` in `docs/secrets.md`.
pub(crate) fn check_document(name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/secrets.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let (before, rest) = text.split_once(&begin).expect("the begin mark");
    let (written, after) = rest.split_once(&end).expect("the end mark");
    if written != table && std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    assert!(
        written == table,
        "the table `{name}` in docs/secrets.md is stale; run the test with UPDATE_DOCS=1"
    );
}
