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
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(STDIN_FILENO, &buffer, buffer.count)
            if count >= 0 { return count == 0 ? nil : buffer[..<count] }
            guard errno == EINTR else {
                throw CommandFailure(
                    message: "could not read standard input: \(String(cString: strerror(errno)))")
            }
        }
    }
}
