//! Builds again when a page is added to or removed from `web/`.

fn main() {
    for pages in ["../web/index.html", "../web/sdk", "../web/apps"] {
        println!("cargo::rerun-if-changed={pages}");
    }
}
