//! The format against itself; `tests/age.rs` holds it against the real tool.

use super::*;

#[test]
fn what_is_encrypted_opens_for_each_recipient_and_nobody_else() {
    let keys = [Identity::generate(), Identity::generate()];
    let recipients: Vec<Recipient> = keys.iter().map(|key| key.recipient().clone()).collect();
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let content: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let text = encrypt_armored(&recipients, &content).unwrap();
        for key in &keys {
            let opened = decrypt(std::slice::from_ref(key), text.as_bytes()).unwrap();
            assert_eq!(opened.as_deref(), Some(content.as_slice()), "{length} bytes");
        }
        assert_eq!(decrypt(&[Identity::generate()], text.as_bytes()).unwrap(), None);
    }
}

#[test]
fn keys_read_back_what_they_print() {
    let key = Identity::generate();
    let text = key.to_secret_text().unwrap();
    assert!(text.expose().starts_with("AGE-SECRET-KEY-1"), "it is upper case");
    assert_eq!(text.expose().len(), 74);
    let read: Identity = text.expose().parse().unwrap();
    assert_eq!(read.recipient(), key.recipient());
    let public = key.recipient().to_string();
    assert_eq!((public.len(), &public.parse::<Recipient>().unwrap()), (62, key.recipient()));
    let file = key.to_key_file("2026-01-01T00:00:00Z").unwrap();
    assert_eq!(Identity::parse_file(file.expose()).unwrap().len(), 1);
    assert!(!format!("{key:?}").contains(&text.expose()[16..]));
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    let key = Identity::generate();
    let file = encrypt(&[key.recipient().clone()], b"a short secret").unwrap();
    for index in 0..file.len() {
        let mut changed = file.clone();
        changed[index] ^= 1;
        let outcome = decrypt(std::slice::from_ref(&key), &changed);
        assert!(!matches!(outcome, Ok(Some(_))), "byte {index} of {}", file.len());
        assert!(
            decrypt(std::slice::from_ref(&key), &file[..index]).ok().flatten().is_none(),
            "cut at {index}"
        );
    }
}

#[test]
fn what_is_no_key_is_told_without_showing_it() {
    let secret = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";
    let fault = Identity::parse_file(&format!("# note\n{secret}\n")).unwrap_err().to_string();
    assert!(fault.starts_with("line 2:") && !fault.contains("QQQQ"), "{fault}");
    let fault = secret.parse::<Recipient>().unwrap_err().to_string();
    assert!(fault.contains("public key") && !fault.contains("QQQQ"), "{fault}");
    for other in ["", "age1", "ssh-ed25519 AAAA", "age1pq1qqqqqqqq", "AGE-PLUGIN-X-1Q"] {
        assert!(other.parse::<Recipient>().is_err(), "{other}");
        assert!(other.parse::<Identity>().is_err(), "{other}");
    }
}
