//! The boolean attributes of key objects, by their names in PKCS#11.

/// A boolean attribute of a key object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the PKCS#11 attribute of the same name")]
pub enum Flag {
    Token,
    Private,
    Sensitive,
    Extractable,
    Modifiable,
    Copyable,
    Destroyable,
    Encrypt,
    Decrypt,
    Sign,
    SignRecover,
    Verify,
    VerifyRecover,
    Wrap,
    Unwrap,
    Derive,
    AlwaysAuthenticate,
    AlwaysSensitive,
    NeverExtractable,
    Local,
}

impl Flag {
    /// The attribute's name in PKCS#11.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "CKA_TOKEN",
            Self::Private => "CKA_PRIVATE",
            Self::Sensitive => "CKA_SENSITIVE",
            Self::Extractable => "CKA_EXTRACTABLE",
            Self::Modifiable => "CKA_MODIFIABLE",
            Self::Copyable => "CKA_COPYABLE",
            Self::Destroyable => "CKA_DESTROYABLE",
            Self::Encrypt => "CKA_ENCRYPT",
            Self::Decrypt => "CKA_DECRYPT",
            Self::Sign => "CKA_SIGN",
            Self::SignRecover => "CKA_SIGN_RECOVER",
            Self::Verify => "CKA_VERIFY",
            Self::VerifyRecover => "CKA_VERIFY_RECOVER",
            Self::Wrap => "CKA_WRAP",
            Self::Unwrap => "CKA_UNWRAP",
            Self::Derive => "CKA_DERIVE",
            Self::AlwaysAuthenticate => "CKA_ALWAYS_AUTHENTICATE",
            Self::AlwaysSensitive => "CKA_ALWAYS_SENSITIVE",
            Self::NeverExtractable => "CKA_NEVER_EXTRACTABLE",
            Self::Local => "CKA_LOCAL",
        }
    }
}
