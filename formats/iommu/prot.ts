/** Permissions of a mapping as a map call asks for them. include/linux/iommu.h, the same in 6.16 to 7.3. */
export const IOMMU_READ = 1 << 0;
export const IOMMU_WRITE = 1 << 1;
/** DMA is coherent with the CPU's caches. */
export const IOMMU_CACHE = 1 << 2;
/** No instruction may be fetched. */
export const IOMMU_NOEXEC = 1 << 3;
/** The target is a device: a doorbell, another device's memory. */
export const IOMMU_MMIO = 1 << 4;
/** Privileged accesses alone. */
export const IOMMU_PRIV = 1 << 5;

/** What a mapping lets a device do, as a table says: {@link IOMMU_READ} and {@link IOMMU_WRITE}, and nothing else. */
export type Access = number;
export const readWrite: Access = IOMMU_READ | IOMMU_WRITE;
