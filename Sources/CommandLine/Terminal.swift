import Glibc

/// The terminal, if there is one, that output goes to.
enum Terminal {
    static var isStandardOutput: Bool { isatty(STDOUT_FILENO) == 1 }
    static var isStandardError: Bool { isatty(STDERR_FILENO) == 1 }

    /// Whether to use colours and symbols (see no-color.org).
    static var isColourful: Bool {
        guard isStandardOutput else { return false }
        guard let noColour = getenv("NO_COLOR") else { return true }
        return noColour[0] == 0
    }

    /// Whether characters beyond ASCII are drawn, as the locale says.
    static var isUTF8: Bool {
        for name in ["LC_ALL", "LC_CTYPE", "LANG"] {
            guard let value = getenv(name), value[0] != 0 else { continue }
            let locale = String(cString: value).lowercased()
            return locale.contains("utf-8") || locale.contains("utf8")
        }
        return false
    }

    /// The columns of the terminal at standard error.
    static var columns: Int { columns(of: STDERR_FILENO) }

    /// The columns of the terminal at standard output; nil where there is none.
    static var outputColumns: Int? { isStandardOutput ? columns(of: STDOUT_FILENO) : nil }

    private static func columns(of descriptor: Int32) -> Int {
        var size = winsize()
        let known = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0
        return known && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    /// Writes to standard error, after what was printed before.
    static func writeError(_ text: String) {
        flush()
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let count = bytes[start...].withUnsafeBytes {
                write(STDERR_FILENO, $0.baseAddress, $0.count)
            }
            if count < 0, errno != EINTR { return }
            start += max(0, count)
        }
    }

    /// Prints a body as it came, ending in a line end.
    static func print(body: some Collection<UInt8>) {
        let text = String(decoding: body, as: UTF8.self)
        Swift.print(text, terminator: text.hasSuffix("\n") ? "" : "\n")
    }

    /// Sends what was printed on its way, also where output is not a terminal; false if it
    /// could not be written.
    @discardableResult
    static func flush() -> Bool {
        fflush(nil) == 0
    }
}
