import Crypto
import FoundationEssentials

/// The file with the key that seals secrets: one line, `ledger-key-1 BASE64`, for its owner alone.
struct KeyFile {
    let path: String

    /// Begins the line, and says what the file is and in which form.
    static let tag = "ledger-key-1"

    private static let keyBytes = 32

    /// The key; refused where others than the file's owner can read or write it.
    func read() throws(SecretBoxError) -> SymmetricKey {
        try key(in: try asKeyFile { () throws(PrivateFileError) in try file.read() })
    }

    /// Makes the file with a new key unless it is there.
    func createIfMissing() throws(SecretBoxError) {
        try asKeyFile { () throws(PrivateFileError) in try file.createIfMissing(Self.newLine) }
    }

    private var file: PrivateFile { PrivateFile(path: path) }

    private func key(in contents: [UInt8]) throws(SecretBoxError) -> SymmetricKey {
        let words = contents.split(
            separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 2, words[0].elementsEqual(Self.tag.utf8),
            words[1].last == UInt8(ascii: "\n"),
            let key = Data(base64Encoded: Data(words[1].dropLast())), key.count == Self.keyBytes
        else { throw .keyFileMalformed(path: path) }
        return SymmetricKey(data: key)
    }

    private static func newLine() -> [UInt8] {
        let key = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
        return Array("\(tag) \(key.base64EncodedString())\n".utf8)
    }

    private func asKeyFile<T>(
        _ body: () throws(PrivateFileError) -> T
    ) throws(SecretBoxError) -> T {
        do throws(PrivateFileError) { return try body() } catch {
            switch error {
            case .missing: throw .keyFileMissing(path: path)
            case .openToOthers(let mode): throw .keyFileOpenToOthers(path: path, mode: mode)
            case .unusable(let reason): throw .keyFileUnusable(path: path, reason: reason)
            }
        }
    }
}
