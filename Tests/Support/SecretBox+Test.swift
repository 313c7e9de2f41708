import Crypto
import Secrets

extension SecretBox {
    /// One with a key of its own.
    package static func ofTest() -> SecretBox { SecretBox(key: SymmetricKey(size: .bits256)) }
}
