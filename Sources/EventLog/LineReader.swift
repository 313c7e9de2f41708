/// Splits what is read from a file descriptor into lines.
struct LineReader {
    /// More than any event that the ledger takes.
    static let lineBytesMax = 64 << 20

    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 256 << 10)
    private var filled = 0
    private var start = 0
    private var lines = 0

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// The next line without its end; nil after the last.
    mutating func next() throws -> [UInt8]? {
        var line: [UInt8] = []
        while true {
            if start == filled {
                filled = try FileDescriptor.read(into: &buffer, from: descriptor)
                start = 0
                if filled == 0 {
                    guard line.isEmpty else {
                        throw ImportError(line: lines + 1, reason: "the line has no end")
                    }
                    return nil
                }
            }
            let rest = buffer[start..<filled]
            if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                line += buffer[start..<end]
                start = end + 1
                lines += 1
                return line
            }
            line += rest
            start = filled
            guard line.count <= Self.lineBytesMax else {
                throw ImportError(line: lines + 1, reason: "the line is too long")
            }
        }
    }
}
