import Crypto
import FoundationEssentials
import Glibc

/// The file with the key that seals secrets: one line, `ledger-key-1 BASE64`, for its owner alone.
struct KeyFile {
    let path: String

    /// Begins the line, and says what the file is and in which form.
    static let tag = "ledger-key-1"

    private static let keyBytes = 32
    /// More than a key file ever holds.
    private static let bytesMax = 256

    /// The key; refused where others than the file's owner can read or write it.
    func read() throws(SecretBoxError) -> SymmetricKey {
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw errno == ENOENT ? .keyFileMissing(path: path) : unusable()
        }
        defer { close(file) }
        // Of the open file, so that what is checked is what is read.
        var status = stat()
        guard fstat(file, &status) == 0 else { throw unusable() }
        guard status.st_mode & 0o077 == 0 else {
            throw .keyFileOpenToOthers(path: path, mode: status.st_mode & 0o777)
        }
        return try key(in: try contents(of: file))
    }

    private func contents(of file: Int32) throws(SecretBoxError) -> [UInt8] {
        var contents = [UInt8](repeating: 0, count: Self.bytesMax)
        let count = Glibc.read(file, &contents, contents.count)
        guard count >= 0 else { throw unusable() }
        return Array(contents.prefix(count))
    }

    private func key(in contents: [UInt8]) throws(SecretBoxError) -> SymmetricKey {
        let words = contents.split(
            separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 2, words[0].elementsEqual(Self.tag.utf8),
            words[1].last == UInt8(ascii: "\n"),
            let key = Data(base64Encoded: Data(words[1].dropLast())), key.count == Self.keyBytes
        else { throw .keyFileMalformed(path: path) }
        return SymmetricKey(data: key)
    }

    /// Makes the file with a new key unless it is there: whole or not at all, also where the power
    /// fails or another process does the same.
    func createIfMissing() throws(SecretBoxError) {
        guard access(path, F_OK) != 0 else { return }
        let draft = "\(path).\(UInt32.random(in: 0 ... .max)).partial"
        defer { unlink(draft) }
        try write(Self.newLine(), to: draft)
        // Fails where the path exists, which renaming would replace.
        guard link(draft, path) == 0 || errno == EEXIST else { throw unusable() }
        try syncDirectory()
    }

    private static func newLine() -> [UInt8] {
        let key = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
        return Array("\(tag) \(key.base64EncodedString())\n".utf8)
    }

    private func write(_ line: [UInt8], to draft: String) throws(SecretBoxError) {
        let file = Glibc.open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw unusable() }
        defer { close(file) }
        guard Glibc.write(file, line, line.count) == line.count, fsync(file) == 0 else {
            throw unusable()
        }
    }

    /// Makes the file's name last as well as its contents.
    private func syncDirectory() throws(SecretBoxError) {
        let end = path.lastIndex(of: "/")
        let directory = end.map { String(path[...$0]) } ?? "."
        let file = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw unusable() }
        defer { close(file) }
        guard fsync(file) == 0 else { throw unusable() }
    }

    /// For the call that just failed.
    private func unusable() -> SecretBoxError {
        .keyFileUnusable(path: path, reason: String(cString: strerror(errno)))
    }
}
