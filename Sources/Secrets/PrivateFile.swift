import Glibc

/// A small file for its owner alone.
package struct PrivateFile: Sendable {
    package let path: String

    /// More than such a file ever holds.
    private static let bytesMax = 1 << 20

    package init(path: String) { self.path = path }

    /// What is in the file; refused where others than its owner can read or write it.
    package func read() throws(PrivateFileError) -> [UInt8] {
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw errno == ENOENT ? .missing : .failed() }
        defer { close(file) }
        // Of the open file, so that what is checked is what is read.
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .failed() }
        guard status.st_mode & 0o077 == 0 else {
            throw .openToOthers(mode: status.st_mode & 0o777)
        }
        return try contents(of: file)
    }

    private func contents(of file: Int32) throws(PrivateFileError) -> [UInt8] {
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .failed() }
            if count == 0 { return contents }
            contents += buffer[..<count]
            guard contents.count <= Self.bytesMax else { throw .unusable("it is too large") }
        }
    }

    /// Makes the file unless it is there: whole or not at all, also where the power fails or another
    /// process does the same.
    package func createIfMissing(_ contents: () -> [UInt8]) throws(PrivateFileError) {
        guard access(path, F_OK) != 0 else { return }
        let draft = "\(path).\(UInt32.random(in: 0 ... .max)).partial"
        defer { unlink(draft) }
        try write(contents(), to: draft)
        // Fails where the path exists, which renaming would replace.
        guard link(draft, path) == 0 || errno == EEXIST else { throw .failed() }
        try syncDirectory()
    }

    /// Puts new contents in the file's place, which lasts from the moment this returns.
    package func replace(with contents: [UInt8]) throws(PrivateFileError) {
        let draft = "\(path).partial"
        unlink(draft)
        try write(contents, to: draft)
        guard rename(draft, path) == 0 else { throw .failed() }
        try syncDirectory()
    }

    private func write(_ contents: [UInt8], to draft: String) throws(PrivateFileError) {
        let file = Glibc.open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .failed() }
        defer { close(file) }
        guard Glibc.write(file, contents, contents.count) == contents.count, fsync(file) == 0
        else { throw .failed() }
    }

    /// Makes the file's name last as well as its contents.
    private func syncDirectory() throws(PrivateFileError) {
        let end = path.lastIndex(of: "/")
        let directory = end.map { String(path[...$0]) } ?? "."
        let file = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw .failed() }
        defer { close(file) }
        guard fsync(file) == 0 else { throw .failed() }
    }
}

/// Why a private file can't be read or written.
package enum PrivateFileError: Error, Sendable, Equatable {
    case missing
    /// With the permission bits it has.
    case openToOthers(mode: UInt32)
    /// With the reason.
    case unusable(String)

    /// For the call that just failed.
    static func failed() -> PrivateFileError { .unusable(String(cString: strerror(errno))) }
}
