import Glibc

/// The few file operations that looking after a cluster takes.
enum FileSystem {
    /// The text of a small file, or nil if it cannot be read.
    static func read(_ path: String) -> String? {
        readBytes(path, last: nil).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The last lines of a file that may be long.
    static func tail(_ path: String, lines: Int = 12) -> String {
        let text = String(decoding: readBytes(path, last: 8192) ?? [], as: UTF8.self)
        return tail(of: text, lines: lines)
    }

    static func tail(of text: String, lines: Int = 12) -> String {
        text.split(separator: "\n").suffix(lines).joined(separator: "\n")
    }

    private static func readBytes(_ path: String, last: Int?) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        if let last {
            let end = lseek(file, 0, SEEK_END)
            lseek(file, max(0, end - last), SEEK_SET)
        }
        return readAll(file)
    }

    /// Everything up to the end of the file or pipe.
    static func readAll(_ file: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count > 0 {
                bytes += chunk[..<count]
            } else if count == 0 || errno != EINTR {
                return bytes
            }
        }
    }

    /// Replaces a small file in one step.
    static func write(_ text: String, to path: String) throws(EmbeddedServerError) {
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw EmbeddedServerError(errno: errno, "writing \(temporary)") }
        let bytes = Array(text.utf8)
        let written = Glibc.write(file, bytes, bytes.count)
        let failed = errno
        close(file)
        guard written == bytes.count else {
            throw EmbeddedServerError(errno: failed, "writing \(temporary)")
        }
        try move(temporary, to: path)
    }

    static func move(_ from: String, to: String) throws(EmbeddedServerError) {
        guard rename(from, to) == 0 else {
            throw EmbeddedServerError(errno: errno, "renaming \(from) to \(to)")
        }
    }

    /// Makes a directory and those above it that are missing.
    static func createDirectories(_ path: String, mode: mode_t) throws(EmbeddedServerError) {
        if isDirectory(path) { return }
        if let parent = parent(path), parent != path {
            try createDirectories(parent, mode: mode)
        }
        guard mkdir(path, mode) == 0 || errno == EEXIST else {
            throw EmbeddedServerError(errno: errno, "making the directory \(path)")
        }
    }

    static func parent(_ path: String) -> String? {
        guard let slash = path.lastIndex(of: "/") else { return nil }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func isDirectory(_ path: String) -> Bool {
        status(path).map { $0.st_mode & S_IFMT == S_IFDIR } ?? false
    }

    static func status(_ path: String) -> stat? {
        var status = stat()
        return stat(path, &status) == 0 ? status : nil
    }

    /// The target of a symbolic link, or nil if the path is none.
    static func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink(path, &buffer, buffer.count)
        guard length >= 0 else { return nil }
        return String(decoding: buffer[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The path with every link resolved.
    static func resolve(_ path: String) throws(EmbeddedServerError) -> String {
        guard let resolved = realpath(path, nil) else {
            throw EmbeddedServerError(errno: errno, "resolving \(path)")
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Removes a directory and what is in it.
    static func removeTree(_ path: String) throws(EmbeddedServerError) {
        let (status, output) = try ChildProcess.run(["/bin/rm", "-rf", "--", path])
        guard status == 0 else { throw EmbeddedServerError("removing \(path)", log: output) }
    }

    /// Makes what happened in a directory survive a power cut.
    static func sync(directory path: String) throws(EmbeddedServerError) {
        let file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw EmbeddedServerError(errno: errno, "opening \(path)") }
        defer { close(file) }
        guard fsync(file) == 0 else { throw EmbeddedServerError(errno: errno, "syncing \(path)") }
    }
}
