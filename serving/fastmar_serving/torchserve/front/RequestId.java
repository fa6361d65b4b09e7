package fastmar.front;

import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;

/** The id under which a request is found in logs: the caller's, or a new one. */
final class RequestId {
    private static final int LONGEST = 128;

    private RequestId() {}

    static String of(String given) {
        return given != null && isUsable(given) ? given : random();
    }

    private static boolean isUsable(String text) {
        if (text.isEmpty() || text.length() > LONGEST) {
            return false;
        }
        return text.chars().allMatch(character -> character > 0x20 && character < 0x7f);
    }

    /** A random UUID (version 4) that need not be secret, so it takes no lock of a SecureRandom. */
    private static String random() {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        long high = (random.nextLong() & ~0xf000L) | 0x4000L;
        long low = (random.nextLong() & 0x3fffffffffffffffL) | 0x8000000000000000L;
        return new UUID(high, low).toString();
    }
}
