//! The PKCS#11 mechanisms that this crate knows, by their standard names.
//!
//! Apart from the key table so that the table stays short. What a key may do with a mechanism is the table's affair.

use cryptoki::mechanism::MechanismType;

/// A PKCS#11 mechanism that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// Generates AES keys.
    AesKeyGen,
    /// AES in CBC mode; only probed, never used.
    AesCbc,
    /// AES-CMAC (NIST SP 800-38B).
    AesCmac,
    /// Derives by encrypting data in CBC mode.
    AesCbcEncryptData,
    /// AES key wrap (RFC 3394).
    AesKeyWrap,
    /// NIST SP 800-108 KDF in counter mode.
    Sp800108CounterKdf,
    /// Generates elliptic-curve pairs.
    EcKeyPairGen,
    /// ECDSA over a digest.
    Ecdsa,
    /// Agrees on a secret over an elliptic curve.
    Ecdh1Derive,
    /// Generates RSA pairs.
    RsaPkcsKeyPairGen,
    /// RSAES-OAEP (RFC 8017).
    RsaPkcsOaep,
}

impl Mechanism {
    /// Every mechanism that this crate knows.
    pub const ALL: [Self; 11] = [
        Self::AesKeyGen,
        Self::AesCbc,
        Self::AesCmac,
        Self::AesCbcEncryptData,
        Self::AesKeyWrap,
        Self::Sp800108CounterKdf,
        Self::EcKeyPairGen,
        Self::Ecdsa,
        Self::Ecdh1Derive,
        Self::RsaPkcsKeyPairGen,
        Self::RsaPkcsOaep,
    ];
    /// What the keeper's token must offer. A token without `CKM_ECDH1_DERIVE` does all but import keys.
    pub const NEEDED: [Self; 7] = [
        Self::AesKeyGen,
        Self::AesCmac,
        Self::AesCbcEncryptData,
        Self::AesKeyWrap,
        Self::EcKeyPairGen,
        Self::Ecdsa,
        Self::RsaPkcsOaep,
    ];

    /// The mechanism's name in PKCS#11.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesKeyGen => "CKM_AES_KEY_GEN",
            Self::AesCbc => "CKM_AES_CBC",
            Self::AesCmac => "CKM_AES_CMAC",
            Self::AesCbcEncryptData => "CKM_AES_CBC_ENCRYPT_DATA",
            Self::AesKeyWrap => "CKM_AES_KEY_WRAP",
            Self::Sp800108CounterKdf => "CKM_SP800_108_COUNTER_KDF",
            Self::EcKeyPairGen => "CKM_EC_KEY_PAIR_GEN",
            Self::Ecdsa => "CKM_ECDSA",
            Self::Ecdh1Derive => "CKM_ECDH1_DERIVE",
            Self::RsaPkcsKeyPairGen => "CKM_RSA_PKCS_KEY_PAIR_GEN",
            Self::RsaPkcsOaep => "CKM_RSA_PKCS_OAEP",
        }
    }
}

/// The mechanism as the PKCS#11 wrapper names it.
pub(crate) fn mechanism_type(mechanism: Mechanism) -> MechanismType {
    match mechanism {
        Mechanism::AesKeyGen => MechanismType::AES_KEY_GEN,
        Mechanism::AesCbc => MechanismType::AES_CBC,
        Mechanism::AesCmac => MechanismType::AES_CMAC,
        Mechanism::AesCbcEncryptData => MechanismType::AES_CBC_ENCRYPT_DATA,
        Mechanism::AesKeyWrap => MechanismType::AES_KEY_WRAP,
        Mechanism::Sp800108CounterKdf => MechanismType::SP800_108_COUNTER_KDF,
        Mechanism::EcKeyPairGen => MechanismType::ECC_KEY_PAIR_GEN,
        Mechanism::Ecdsa => MechanismType::ECDSA,
        Mechanism::Ecdh1Derive => MechanismType::ECDH1_DERIVE,
        Mechanism::RsaPkcsKeyPairGen => MechanismType::RSA_PKCS_KEY_PAIR_GEN,
        Mechanism::RsaPkcsOaep => MechanismType::RSA_PKCS_OAEP,
    }
}
