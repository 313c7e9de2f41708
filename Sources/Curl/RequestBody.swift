/// The body of a request: one copy, which all transfers that send it share.
package final class RequestBody: Sendable {
    // Written by `init` alone, and freed when no transfer reads it any more.
    private nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer

    /// Copies the bytes.
    package init(_ bytes: [UInt8]) {
        self.bytes = .allocate(byteCount: bytes.count, alignment: 1)
        self.bytes.copyBytes(from: bytes)
    }

    deinit {
        bytes.deallocate()
    }

    /// How many bytes the body has.
    package var count: Int { bytes.count }

    /// Hands the bytes to `body`; they stay where they are for as long as this object lives.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
        -> Result
    {
        try body(UnsafeRawBufferPointer(bytes))
    }
}
