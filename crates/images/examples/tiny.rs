fn main() {
    let out = std::env::args().nth(1).unwrap();
    let t = std::time::Instant::now();
    println!(
        "{:?}",
        freehold_images::tiny::build(
            out.as_ref(),
            freehold_images::tiny::Options::default(),
            &mut |s| eprintln!("{:?} {s}", t.elapsed())
        )
    );
    println!("{:?}", t.elapsed());
}
