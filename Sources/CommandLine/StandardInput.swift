import Glibc

/// Standard input, read as far as it is needed.
enum StandardInput {
    static func all() throws(CommandFailure) -> [UInt8] {
        var all: [UInt8] = []
        while let piece = try next() {
            all += piece
        }
        return all
    }

    /// What is there next, or nil at the end.
    static func next() throws(CommandFailure) -> ArraySlice<UInt8>? {
        try InputFile(path: "-").next()
    }
}

/// A file, or standard input for `-`, read as far as it is needed.
final class InputFile {
    private let name: String
    private let descriptor: Int32

    init(path: String) throws(CommandFailure) {
        name = path == "-" ? "standard input" : "'\(path)'"
        descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure }
    }

    deinit {
        if descriptor > STDIN_FILENO { close(descriptor) }
    }

    /// What is there next, or nil at the end.
    func next() throws(CommandFailure) -> ArraySlice<UInt8>? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count >= 0 { return count == 0 ? nil : buffer[..<count] }
            guard errno == EINTR else { throw failure }
        }
    }

    private var failure: CommandFailure {
        CommandFailure(message: "could not read \(name): \(String(cString: strerror(errno)))")
    }
}
