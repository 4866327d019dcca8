import { join } from "node:path";

/** Where run.sh builds the image. */
const FOLDER = join(import.meta.dirname, "../../../.cache/image");

/** The OCI archive. */
export const BUILT_IMAGE = join(FOLDER, "kube-ipvs.tar");

/** What is in it: the root file system of a container. */
export const IMAGE_ROOT = join(FOLDER, "rootfs");
