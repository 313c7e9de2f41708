/// What has come of one answer up to now, as far as an `Outcome` tells of it.
///
/// It works on bytes: of most answers only the status is wanted, and no text is made.
struct Answer {
    /// The most bytes of heads and trailers that are taken.
    private let headBytesMax: Int
    private let bodyBytesMax: Int
    private let bodyBytesKept: Int
    private let keepsHead: Bool

    /// The status of the final head; 0 until it is complete.
    private(set) var status = 0
    private(set) var retryAfter: String?
    private(set) var bodyStart: [UInt8] = []
    private(set) var head: ResponseHead?
    private(set) var isHeadTooLarge = false
    private(set) var isTruncated = false
    /// The status of the head that is being read, which may be an interim one.
    private var statusRead = 0
    private var headBytes = 0
    private var bodyBytes = 0

    init(_ options: Target.Options) {
        headBytesMax = options.headBytesMax
        bodyBytesMax = options.bodyBytesMax
        bodyBytesKept = options.bodyBytesKept
        keepsHead = options.keepsHead
    }

    /// Takes one line of a head or trailer, with its line end; false ends the transfer.
    mutating func receive(line: UnsafeRawBufferPointer) -> Bool {
        headBytes += line.count
        guard headBytes <= headBytesMax else {
            isHeadTooLarge = true
            return false
        }
        // What follows the final head are trailers.
        guard status == 0 else { return true }
        if line.starts(with: "HTTP/".utf8) {
            beginHead(line)
        } else if line.count <= 2 && line.allSatisfy(Self.isLineEnd) {
            endHead()
        } else {
            receiveField(line)
        }
        return true
    }

    /// Takes a piece of the body; false ends the transfer.
    mutating func receive(body: UnsafeRawBufferPointer) -> Bool {
        let room = bodyBytesKept - bodyStart.count
        if room > 0 {
            bodyStart.append(contentsOf: body.prefix(room))
        }
        bodyBytes += body.count
        isTruncated = bodyBytes > bodyBytesMax
        return !isTruncated
    }

    private mutating func beginHead(_ line: UnsafeRawBufferPointer) {
        let digits = line.drop { $0 != UInt8(ascii: " ") }.dropFirst().prefix(3)
        statusRead = digits.reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) }
        retryAfter = nil
        head = keepsHead ? ResponseHead(status: statusRead) : nil
    }

    private mutating func endHead() {
        // An interim head is followed by another; after 101 no HTTP follows.
        if statusRead >= 200 || statusRead == 101 {
            status = statusRead
        }
    }

    private mutating func receiveField(_ line: UnsafeRawBufferPointer) {
        if let value = Self.value(of: "retry-after", in: line) {
            retryAfter = value
        }
        if keepsHead, let colon = line.firstIndex(of: UInt8(ascii: ":")) {
            let name = String(decoding: line[..<colon], as: UTF8.self)
            head?.headers.append((name, Self.trimmed(line[(colon + 1)...])))
        }
    }

    /// The value of the line, if it is a header of that name; `name` is in lower case.
    private static func value(of name: StaticString, in line: UnsafeRawBufferPointer) -> String? {
        let length = name.utf8CodeUnitCount
        guard line.count > length, line[length] == UInt8(ascii: ":") else { return nil }
        let isNamed = (0..<length).allSatisfy { line[$0] | 0x20 == name.utf8Start[$0] | 0x20 }
        return isNamed ? trimmed(line[(length + 1)...]) : nil
    }

    private static func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        let start = bytes.drop(while: isSpace)
        guard let last = start.lastIndex(where: { !isSpace($0) }) else { return "" }
        return String(decoding: start[...last], as: UTF8.self)
    }

    private static func isLineEnd(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n")
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || isLineEnd(byte)
    }
}
