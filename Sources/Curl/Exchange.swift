/// What one transfer has received up to now: libcurl's callbacks feed it, line by line and
/// piece by piece.
///
/// Each `receive` returns false to end the transfer; `ending` then says why.
final class Exchange {
    enum Ending {
        case stoppedByCaller
        case headTooLarge
    }

    static let headBytesMax = 64 * 1024

    private(set) var ending: Ending?
    private(set) var head = ResponseHead()
    private var headBytes = 0
    private var headIsComplete = false
    private let onHead: (ResponseHead) -> Void
    private let onBody: (UnsafeRawBufferPointer) -> Bool

    init(
        onHead: @escaping (ResponseHead) -> Void,
        onBody: @escaping (UnsafeRawBufferPointer) -> Bool
    ) {
        self.onHead = onHead
        self.onBody = onBody
    }

    /// Takes one line of the head, with its line end; lines after the body are trailers, which are
    /// passed over.
    func receive(line bytes: UnsafeRawBufferPointer) -> Bool {
        guard !headIsComplete else { return true }
        headBytes += bytes.count
        guard headBytes <= Self.headBytesMax else {
            ending = .headTooLarge
            return false
        }
        let line = Self.trimmed(String(decoding: bytes, as: UTF8.self))
        if line.isEmpty {
            // An interim response, such as 100, is followed by another head.
            if head.status >= 200 {
                headIsComplete = true
                onHead(head)
            }
        } else if line.hasPrefix("HTTP/") {
            let status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
            head = ResponseHead(status: status ?? 0, headers: [])
        } else if let colon = line.firstIndex(of: ":") {
            let value = Self.trimmed(line[line.index(after: colon)...])
            head.headers.append((String(line[..<colon]), String(value)))
        }
        return true
    }

    /// Takes a piece of the body.
    func receive(body: UnsafeRawBufferPointer) -> Bool {
        guard onBody(body) else {
            ending = .stoppedByCaller
            return false
        }
        return true
    }

    private static func trimmed(_ text: some StringProtocol) -> Substring {
        let text = Substring(text)
        guard let first = text.firstIndex(where: { !$0.isWhitespace }),
            let last = text.lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return text[first...last]
    }
}
