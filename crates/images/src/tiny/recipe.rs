//! The recipe: texts of `images/tiny`, built into the binary.

/// Raised when the code changes what an image is made of, so that finished images are made again.
pub(super) const LAYOUT: &str = "1";

/// Which kernel modules, and when they are loaded.
pub(super) const MODULES: &str = include_str!("../../../../images/tiny/modules");
/// What GRUB does under legacy BIOS.
pub(super) const GRUB_BIOS: &str = include_str!("../../../../images/tiny/grub-bios.cfg");
/// What GRUB does under UEFI.
pub(super) const GRUB_EFI: &str = include_str!("../../../../images/tiny/grub-efi.cfg");
/// First process of the initial file system.
pub(super) const INIT: &str = include_str!("../../../../images/tiny/initramfs/init");

/// A file of the root: path, permissions, content.
pub(super) type RootFile = (&'static str, u32, &'static str);

/// Files of the root that the recipe brings.
pub(super) const ROOT: [RootFile; 21] = [
    ("etc/inittab", 0o644, include_str!("../../../../images/tiny/root/inittab")),
    ("etc/init.d/start", 0o755, include_str!("../../../../images/tiny/root/start")),
    ("etc/init.d/stop", 0o755, include_str!("../../../../images/tiny/root/stop")),
    ("etc/acpi/PWRF/00000080", 0o755, include_str!("../../../../images/tiny/root/power")),
    ("etc/pam.d/doas", 0o644, include_str!("../../../../images/tiny/root/pam")),
    ("etc/profile", 0o644, include_str!("../../../../images/tiny/root/profile")),
    ("usr/bin/sudo", 0o755, include_str!("../../../../images/tiny/root/sudo")),
    ("usr/lib/freehold/lease", 0o755, include_str!("../../../../images/tiny/root/lease")),
    ("usr/lib/freehold/main.lua", 0o644, include_str!("../../../../images/tiny/lua/main.lua")),
    ("usr/lib/freehold/seed.lua", 0o644, include_str!("../../../../images/tiny/lua/seed.lua")),
    ("usr/lib/freehold/network.lua", 0o644, include_str!("../../../../images/tiny/lua/network.lua")),
    ("usr/lib/freehold/accounts.lua", 0o644, include_str!("../../../../images/tiny/lua/accounts.lua")),
    ("usr/lib/freehold/system.lua", 0o644, include_str!("../../../../images/tiny/lua/system.lua")),
    ("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    (
        "etc/group",
        0o644,
        "root:x:0:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nsudo:x:27:\nusers:x:100:\nnogroup:x:65534:\n",
    ),
    ("etc/shadow", 0o600, "root:!:19000:0:99999:7:::\nnobody:!:19000:0:99999:7:::\n"),
    ("etc/shells", 0o644, "/bin/sh\n/bin/bash\n"),
    ("etc/hostname", 0o644, "freehold\n"),
    ("etc/hosts", 0o644, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"),
    ("etc/issue", 0o644, "Freehold tiny guest \\n \\l\n"),
    (
        "etc/os-release",
        0o644,
        "NAME=\"Freehold tiny guest\"\nPRETTY_NAME=\"Freehold tiny guest\"\nID=freehold-tiny\nID_LIKE=debian\n",
    ),
];

/// All texts that decide what the image is like.
pub(super) fn all() -> Vec<&'static str> {
    [MODULES, GRUB_BIOS, GRUB_EFI, INIT]
        .into_iter()
        .chain(ROOT.iter().flat_map(|(path, _, text)| [*path, *text]))
        .collect()
}
