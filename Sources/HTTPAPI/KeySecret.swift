import Crypto
import Domain

/// Keys are `ldg_ID_SECRET`. The log keeps a salted hash; 32 random bytes need no slower one.
package enum KeySecret {
    private static let prefix = "ldg_"

    /// What a key's ID may be, as an error message says it.
    package static let idRule = "A key's ID is 1 to 64 letters, digits, '-' or '.'."

    package static func isKeyID(_ id: String) -> Bool {
        (1...64).contains(id.utf8.count)
            && id.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte)
                    || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
                    || byte == UInt8(ascii: ".")
            }
    }

    /// A new key's text and what the log keeps of it.
    package static func make(id: String, role: Role, name: String?) -> (text: String, key: Key) {
        let secret = randomHex(bytes: 32)
        let salt = randomHex(bytes: 16)
        let key = Key(
            id: id, role: role, name: name, salt: salt, hash: hash(salt: salt, secret: secret))
        return ("\(prefix)\(id)_\(secret)", key)
    }

    /// The ID and the secret in a key's text.
    static func parts(of text: Substring) -> (id: String, secret: String)? {
        guard text.hasPrefix(prefix), let separator = text.lastIndex(of: "_"),
            text.index(text.startIndex, offsetBy: prefix.count) < separator
        else { return nil }
        let id = text[text.index(text.startIndex, offsetBy: prefix.count)..<separator]
        return (String(id), String(text[text.index(after: separator)...]))
    }

    static func matches(_ key: Key, _ secret: String) -> Bool {
        // Comparing every byte takes the same time wherever the first difference is.
        let given = hash(salt: key.salt, secret: secret)
        return given.utf8.count == key.hash.utf8.count
            && zip(given.utf8, key.hash.utf8).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    package static func randomHex(bytes: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<bytes).map { _ in hex(UInt8.random(in: 0...255, using: &generator)) }.joined()
    }

    private static func hash(salt: String, secret: String) -> String {
        SHA256.hash(data: Array((salt + secret).utf8)).map(hex).joined()
    }

    private static func hex(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
}
